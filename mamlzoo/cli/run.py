"""`mamlzoo run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mamlzoo.cli import console
from mamlzoo.cli.flags import SettingsCommand
from mamlzoo.cli.runner import run_flags, seeds_of, watched


@click.command("run", cls=SettingsCommand)
@run_flags
def command(
    chosen: dict[str, list[str]],
    options: dict[str, Any],
    settings: dict[str, Any],
    seeds: int | None,
    seed_list: str | None,
    threads: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train and test one task × model × algorithm.

    Prints the test metric after each number of adaptation steps, and saves a run directory. The options of the plugins
    chosen by -t, -m and -a are listed below; `mamlzoo info NAME` explains them.
    """
    from mamlzoo import store
    from mamlzoo.experiment import experiments

    (experiment,) = experiments(
        chosen["task"],
        chosen["model"],
        chosen["algorithm"],
        options=options,
        seeds=seeds_of(seeds, seed_list),
        **settings,
    )
    directory = out or store.default_directory(experiment.name)
    with store.new_directory(directory) as temporary:
        with watched(threads, quiet) as progress:
            result = experiment.run(progress)
        result = store.write(result, temporary, directory)
    if as_json:
        console.print_json(result.document())
    else:
        console.print_table(result.table())
        timing = result.timing
        console.out().print(
            f"trained in {timing.train_seconds:.1f} s ({timing.tasks_per_second:,.0f} tasks/s), "
            f"tested in {timing.evaluate_seconds:.1f} s"
        )
    if not quiet:
        console.say_where(directory)
