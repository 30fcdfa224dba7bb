"""Scalars and the test as CSV files, which need no library."""

from __future__ import annotations

import csv

from mamlzoo.runs import recording
from mamlzoo.runs.recording_policy import RecordingPolicy


def read(path):
    """By name and seed, the value of each step; a step that is there twice is one too many."""
    found = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            steps = found.setdefault(f"{line['name']}/seed {line['seed']}", {})
            assert int(line["step"]) not in steps
            steps[int(line["step"])] = float(line["value"])
    return found


def test_every_scalar_is_a_line(tmp_path, logged, shown):
    result = logged("csv-log")
    assert read(tmp_path / "run" / "scalars.csv") == shown(result)


def test_the_test_is_a_table(tmp_path, logged):
    evaluation = logged("csv-log").evaluation
    with (tmp_path / "run" / "test.csv").open(encoding="utf-8", newline="") as file:
        columns, *rows = csv.reader(file)
    assert columns == ["adaptation step", "mse", "± 95%", "seed 0", "seed 1"]
    assert [[float(number) for number in row] for row in rows] == [
        [step, evaluation.mean[step], evaluation.ci95[step], *evaluation.per_seed[:, step]] for step in (0, 1)
    ]


def test_a_run_that_goes_on_has_each_line_once(tmp_path, interrupted, shown):
    result = interrupted("csv-log")
    assert read(tmp_path / "run" / "scalars.csv") == shown(result)


def test_half_a_line_of_a_killed_process_is_left_out(tmp_path, stopped, shown):
    stopped("csv-log")
    with (tmp_path / "run" / "scalars.csv").open("a") as file:
        file.write("meta-lo")
    result = recording.resume(tmp_path / "run", RecordingPolicy(loggers=["csv-log"]))
    assert read(tmp_path / "run" / "scalars.csv") == shown(result)


def test_nothing_else_is_left_behind(tmp_path, logged):
    logged("csv-log")
    assert {path.name for path in (tmp_path / "run").glob("*.csv*")} == {"scalars.csv", "test.csv"}
