"""Loggers: plugins that are told what a run does, and cannot harm it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mamlzoo
from mamlzoo import UsageError
from mamlzoo.runs import execution, recording
from mamlzoo.runs.name_resolution import experiments
from mamlzoo.runs.recording_policy import Interval, RecordingPolicy, StoppedError

pytestmark = pytest.mark.usefixtures("no_figures")
DIARY = """
    import mamlzoo

    @mamlzoo.hookimpl
    def mamlzoo_run_started(directory, step):
        write(directory, f"started at {step}")

    @mamlzoo.hookimpl
    def mamlzoo_run_progressed(directory, event):
        write(directory, type(event).__name__)

    @mamlzoo.hookimpl
    def mamlzoo_run_ended(directory, result, error):
        write(directory, f"ended with {type(result or error).__name__}")

    def write(directory, text):
        with (directory / "diary").open("a") as file:
            file.write(text + "\\n")
"""


def experiment(**changes):
    (found,) = experiments(
        ["sine"],
        ["mlp"],
        ["reptile"],
        iterations=3,
        meta_batch=2,
        test_tasks=4,
        test_steps=1,
        plan="vmap",
        seeds=2,
        **changes,
    )
    return found


def test_a_logger_is_told_of_start_progress_and_end(tmp_path, distribution):
    distribution("diary", DIARY)
    recording.record(experiment(), tmp_path / "run", RecordingPolicy(loggers=["diary"]))
    lines = (tmp_path / "run" / "diary").read_text().splitlines()
    assert lines[0] == "started at 0"
    assert lines[-1] == "ended with Result"
    assert lines.count("TrainingRecord") == 3
    assert {"Choice", "Checkpoint", "EvaluationProgress"} < set(lines)


def test_a_logger_is_told_where_a_run_goes_on(tmp_path, distribution):
    distribution("diary", DIARY)
    heard = []
    policy = RecordingPolicy(Interval(steps=1), lambda _, event: heard.append(event), lambda: len(heard) > 5, ["diary"])
    with pytest.raises(StoppedError):
        recording.record(experiment(), tmp_path / "run", policy)
    recording.resume(tmp_path / "run", RecordingPolicy(loggers=["diary"]))
    lines = (tmp_path / "run" / "diary").read_text().splitlines()
    at = lines.index("ended with StoppedError")
    assert lines[at + 1].startswith("started at ")
    assert lines[at + 1] != "started at 0"
    assert lines[-1] == "ended with Result"


def test_nobody_is_told_who_was_not_asked_for(tmp_path, distribution):
    distribution("diary", DIARY)
    recording.record(experiment(), tmp_path / "run")
    assert not (tmp_path / "run" / "diary").exists()


def test_a_logger_that_fails_is_told_no_more_and_costs_no_numbers(tmp_path, distribution):
    distribution("broken", '''
        import mamlzoo

        @mamlzoo.hookimpl
        def mamlzoo_run_progressed(event):
            raise RuntimeError("the server is gone")
    ''')  # fmt: skip
    with pytest.warns(
        UserWarning, match="logger 'broken' of broken 1.5 failed and is told no more: RuntimeError: the server is gone"
    ) as said:
        logged = recording.record(experiment(), tmp_path / "run", RecordingPolicy(loggers=["broken"]))
    assert len(said) == 1
    assert (Path(said[0].filename).name, said[0].lineno) == ("plugin_of_broken.py", 6)
    assert logged.document()["evaluation"] == execution.run(experiment()).document()["evaluation"]


def test_a_logger_that_cannot_log_is_refused_before_training(tmp_path, distribution):
    distribution("lacking", '''
        import mamlzoo

        @mamlzoo.hookimpl
        def mamlzoo_run_started():
            raise mamlzoo.UsageError("logger 'lacking' needs something: pip install something")
    ''')  # fmt: skip
    with pytest.raises(UsageError, match="logger 'lacking' needs something"):
        recording.record(experiment(), tmp_path / "run", RecordingPolicy(loggers=["lacking"]))
    assert not (tmp_path / "run").exists()


def test_a_logger_that_cannot_log_is_no_failure_of_a_cell(tmp_path, distribution, cli):
    distribution(
        "lacking",
        """
        import mamlzoo

        @mamlzoo.hookimpl
        def mamlzoo_run_started():
            raise mamlzoo.UsageError("logger 'lacking' needs something")
    """,
    )
    sweep = [
        "sweep",
        "--outer-lr",
        "0.1,0.2",
        "--iterations",
        "1",
        "--test-tasks",
        "2",
        "--plan",
        "loop",
        "--out",
        "all",
    ]
    assert cli.error(*sweep, "--log", "lacking") == "logger 'lacking' needs something"
    assert {cell["state"] for cell in json.loads(Path("all/sweep.json").read_text())["cells"]} == {"waiting"}


def test_a_logger_that_would_end_the_process_or_prints_harms_nothing(tmp_path, distribution, capsys):
    distribution(
        "loud",
        """
        import mamlzoo

        @mamlzoo.hookimpl
        def mamlzoo_run_started():
            print("here I am")

        @mamlzoo.hookimpl
        def mamlzoo_run_progressed():
            raise SystemExit(5)
    """,
    )
    with pytest.warns(UserWarning, match="logger 'loud' of loud 1.5 failed and is told no more: SystemExit: 5"):
        recording.record(experiment(), tmp_path / "run", RecordingPolicy(loggers=["loud"]))
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "here I am\n")


def test_an_unknown_logger_is_one_line_and_nothing_is_left_behind(cli):
    assert cli.error("run", "--log", "tensorbord").startswith(
        "there is no logger 'tensorbord'; did you mean 'tensorboard'"
    )
    assert list(Path.cwd().iterdir()) == []


def test_a_logger_is_listed(cli, distribution):
    distribution("diary", DIARY)
    assert [entry["name"] for entry in cli.json("list")["loggers"]] == [
        "csv-log",
        "diary",
        "mlflow",
        "tensorboard",
        "wandb",
    ]


def test_the_run_function_records_where_it_is_told(tmp_path):
    result = mamlzoo.run(iterations=3, meta_batch=2, test_tasks=4, out=tmp_path / "run", checkpoint_every="1")
    assert result.run_dir == tmp_path / "run"
    assert mamlzoo.load(tmp_path / "run").document() == result.document()
