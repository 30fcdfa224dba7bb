"""A logger: a line when a run begins, and one when it ends."""

import mamlzoo


@mamlzoo.hookimpl
def mamlzoo_run_started(experiment, directory, step):
    (directory / "lines.txt").write_text(f"{experiment.name} from meta-step {step}\n", encoding="utf-8")


@mamlzoo.hookimpl
def mamlzoo_run_ended(directory, result, error):
    with (directory / "lines.txt").open("a", encoding="utf-8") as file:
        file.write("failed\n" if result is None else "done\n")
