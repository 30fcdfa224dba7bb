"""Sweeps: which cells there are, which is best, and what a directory of them goes through."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import mamlzoo
from mamlzoo import MamlzooError, UsageError, files
from mamlzoo.discovery import source_code, trust
from mamlzoo.discovery.source_code import Source
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.digests import digest, experiment_digest
from mamlzoo.runs.recording_policy import Interval, RecordingPolicy, StoppedError
from mamlzoo.runs.watchers import Part
from mamlzoo.sweeps import directory as sweep_directory
from mamlzoo.sweeps.axes import Axis
from mamlzoo.sweeps.cells import Cell, Estimate, Scores
from mamlzoo.sweeps.grid import grid_of
from mamlzoo.sweeps.sweep import Sweep
from mamlzoo_algorithms.maml import MAML

pytestmark = pytest.mark.usefixtures("no_figures")
BUDGET = {"iterations": 2, "meta_batch": 2, "test_tasks": 4, "test_steps": 1, "valid_tasks": 3, "plan": "loop"}
RATES = {"algorithm.inner_lr": [0.01, 0.05]}
ONE = {"task": ["sine"], "model": ["mlp"], "algorithm": ["maml"]}


def scores(valid, test=1.0, diverged=0, seeds=3, higher=False, metric="mse", per_seed=()):
    return Scores(
        metric, higher, Estimate(valid, 0.1, per_seed or (valid,) * seeds), Estimate(test, 0.2, ()), "basis", "seeds", seeds,
        dict.fromkeys(range(diverged), 7), 1.0,
    )  # fmt: skip


def restamp(run):
    """Make the sums and the digest of a run's checkpoint those of the config that it has by now."""
    path = run / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    content["experiment"] = experiment_digest(json.loads((run / "config.json").read_text()))
    content["digest"] = digest({key: value for key, value in content.items() if key != "digest"})
    torch.save(content, path)
    files.write_sums(run, run_directory.SUMMED)


def swept(*found, tasks=None):
    """A sweep over one axis with these scores; None for a cell that failed."""
    parts = {kind: {"name": kind, "options": {}} for kind in ("model", "algorithm")}
    seeds = {"settings": {"seeds": [*range(max(one.seeds for one in found if one))]}}
    config = [parts | seeds | {"task": {"name": name, "options": {}}} for name in tasks or ["sine"] * len(found)]
    cells = [Cell({"outer_lr": at}, config[at], one, None if one else "it broke", None) for at, one in enumerate(found)]
    return Sweep([Axis("outer_lr", "outer_lr", tuple(range(len(found))))], cells)


def best(*found):
    return swept(*found).best().values["outer_lr"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that was never stopped: two rates, two seeds; then a third rate is added."""
    directory = tmp_path_factory.mktemp("sweep") / "all"
    sweep = mamlzoo.sweep(RATES, out=directory, seeds=2, **BUDGET)
    heard = []
    more = mamlzoo.sweep(
        {"algorithm.inner_lr": [0.01, 0.05, 0.1]},
        out=directory,
        seeds=2,
        progress=lambda *event: heard.append(event),
        **BUDGET,
    )
    return SimpleNamespace(directory=directory, sweep=sweep, more=more, heard=heard)


def test_the_best_is_chosen_by_validation_and_not_by_test():
    assert best(scores(2.0, test=0.1), scores(1.0, test=9.0), scores(3.0, test=0.2)) == 1


def test_an_accuracy_is_best_where_it_is_highest():
    assert best(scores(0.2, higher=True), scores(0.9, higher=True), scores(0.5, higher=True)) == 1


def test_of_equally_good_cells_the_first_is_best():
    assert best(scores(2.0), scores(1.0), scores(1.0)) == 1


def test_a_cell_with_a_diverged_seed_is_not_the_best():
    assert best(scores(1.0, diverged=1), scores(2.0), scores(3.0)) == 1


def test_a_cell_with_a_diverged_seed_is_the_best_where_all_have_one():
    assert best(scores(2.0, diverged=1), scores(1.0, diverged=2)) == 1


def test_a_metric_that_is_not_finite_and_a_failed_cell_are_never_the_best():
    assert best(scores(math.nan, diverged=3), scores(math.inf), None, scores(5.0)) == 3
    with pytest.raises(UsageError, match="no cell has a finite validation metric, so that none is best"):
        best(scores(math.nan, diverged=3), scores(math.inf))


def test_cells_of_several_tasks_are_chosen_between_for_each():
    sweep = swept(scores(2.0), scores(1.0), scores(0.1), scores(0.2), tasks=["a", "a", "b", "b"])
    assert [cell.values["outer_lr"] for cell in sweep.best_of_each_task()] == [1, 2]
    with pytest.raises(UsageError, match="of 2 tasks, whose metrics do not compare; use best_of_each_task"):
        sweep.best()


def test_where_every_cell_is_a_task_of_its_own_none_is_marked():
    table = swept(scores(2.0), scores(1.0), tasks=["a", "b"]).table()
    assert [row[0] for row in table.rows] == ["", ""]
    assert "every cell is a task of its own, so there is nothing to choose between" in table.notes


def best_notes(*found):
    return [note for note in swept(*found).table().notes if "outer_lr=0" in note][1:]


def of_seeds(*values, diverged=0):
    left = values[diverged:]
    return scores(float(np.mean(left)) if left else np.nan, diverged=diverged, seeds=len(values), per_seed=values)


@pytest.mark.parametrize(
    ("found", "note"),
    [
        ([of_seeds(1.0), of_seeds(9.0)],
         "one seed says nothing of another training run, for which another than outer_lr=0 may be best"),
        ([of_seeds(1.0, 2.0), of_seeds(3.0, 3.2)], "with 2 seeds these cannot be told apart from outer_lr=0: outer_lr=1"),
        ([of_seeds(1.0, 2.0, 3.0), of_seeds(2.0, 3.1, 4.0)],
         "on the validation tasks outer_lr=0 is better than every other"),
        # Of three cells there are three pairs: t of 2 degrees is 7.65, and 4.30 for two cells.
        ([of_seeds(1.0, 2.0, 3.0), of_seeds(2.0, 3.5, 4.0), of_seeds(9.0, 9.9, 11.0)],
         "with 3 seeds these cannot be told apart from outer_lr=0: outer_lr=1"),
        ([of_seeds(1.0, 2.0)] + [of_seeds(1.1, 2.1 + at) for at in range(5)],
         "with 2 seeds these cannot be told apart from outer_lr=0: outer_lr=2; outer_lr=3; outer_lr=4 and 1 more"),
        # Of what diverged, in training or in validation, the table says so; it is no rival.
        ([of_seeds(1.0, 2.0, 3.0), of_seeds(np.nan, np.nan, np.nan, diverged=3)], None),
        ([of_seeds(1.0, 2.0, 3.0), of_seeds(np.inf, 3.1, 4.0)], None),
        ([of_seeds(1.0, 2.0, 3.0), of_seeds(np.nan, np.nan, 4.0, diverged=2)], None),
        ([of_seeds(1.0, 2.0, 3.0), of_seeds(2.0, 3.1, 4.0), of_seeds(np.inf, np.inf, np.inf)],
         "on the validation tasks outer_lr=0 is better than every other that has two seeds to compare"),
        ([of_seeds(1.0, 2.0, 3.0), of_seeds(2.0, 9.0, 4.0), of_seeds(np.nan, np.nan, 4.0, diverged=2)],
         "with 3 seeds these cannot be told apart from outer_lr=0: outer_lr=1"),
        ([of_seeds(1.0)], None),
    ],
)  # fmt: skip
def test_beside_the_best_stands_which_others_may_be_as_good(found, note):
    assert best_notes(*found) == ([note] if note else [])


def test_the_table_marks_the_best_counts_diverged_seeds_and_shows_errors():
    table = swept(scores(2.0, test=1.5), scores(3.0, diverged=1), None).table()
    assert [row[0] for row in table.rows] == ["best", "", ""]
    assert table.rows[0][2:5] == ["2.000 ± 0.100", "1.500 ± 0.200", "0 of 3"]
    assert table.rows[1][4] == "1 of 3"
    assert "outer_lr=1: seed 0 diverged in training, left out of the means" in table.notes
    assert "best by validation: outer_lr=0 (None); the figure to report is its test mse, 1.500 ± 0.200" in table.notes
    assert table.rows[2][2] == "failed"
    assert table.notes[-1] == "outer_lr=2: failed: it broke"


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=3, max_size=3).filter(lambda sizes: max(sizes) > 1))
def test_there_is_a_cell_for_every_combination_in_the_order_of_the_values(sizes):
    rates, batches, steps = ([at + 1 for at in range(size)] for size in sizes)
    plan = grid_of({"outer_lr": rates, "meta_batch": batches, "test_steps": steps}, ONE, {}, 1, {})
    found = [candidate.experiment.settings for candidate in plan.candidates]
    expected = [(rate, batch, step) for rate in rates for batch in batches for step in steps]
    assert [(one.outer_lr, one.meta_batch, one.test_steps) for one in found] == expected
    assert [axis.key for axis in plan.axes] == [
        key for key, size in zip(["outer_lr", "meta_batch", "test_steps"], sizes, strict=True) if size > 1
    ]


def test_an_option_goes_to_the_plugins_that_have_it_and_no_cell_is_made_twice():
    several = {"task": ["blobs"], "model": ["mlp"], "algorithm": ["maml", "protonet"]}
    plan = grid_of({"algorithm.inner_lr": "0.01,0.1", "outer_lr": [1, 2]}, several, {}, 1, {})
    labels = [Sweep(plan.axes, []).label(Cell(candidate.values, None)) for candidate in plan.candidates]
    assert labels == [
        "algorithm=maml, inner_lr=0.01, outer_lr=1.0",
        "algorithm=maml, inner_lr=0.01, outer_lr=2.0",
        "algorithm=maml, inner_lr=0.1, outer_lr=1.0",
        "algorithm=maml, inner_lr=0.1, outer_lr=2.0",
        "algorithm=protonet, outer_lr=1.0",
        "algorithm=protonet, outer_lr=2.0",
    ]


@pytest.mark.parametrize(
    ("axes", "options", "folders"),
    [
        (RATES, {"task.folder": "/data"}, ["/data", "/data"]),
        (RATES | {"task.folder": ["/data"]}, {}, ["/data", "/data"]),
        ({"task.folder": ["/data", "/more"]}, {}, ["/data", "/more"]),
    ],
    ids=["as an option", "as an axis of one value", "as an axis"],
)
def test_a_plugin_that_needs_an_option_is_made_with_it(axes, options, folders):
    plan = grid_of(axes, ONE | {"task": ["csv"]}, options, 1, {})
    assert [candidate.experiment.task.folder for candidate in plan.candidates] == folders


def test_what_an_option_is_needed_for_is_said_where_it_is_not_given(tmp_path):
    with pytest.raises(UsageError, match=r"none of the 2 cells can work: .* as in --task\.folder data"):
        mamlzoo.sweep(RATES, task="csv", out=tmp_path / "sweep")


@pytest.mark.parametrize(
    ("changes", "interval"),
    [({}, 2), ({"validate_every": 1}, 1), ({"iterations": 0}, 1), ({"select_best": True, "iterations": 40}, 2)],
)
def test_every_cell_is_validated_at_its_end_at_least(changes, interval):
    plan = grid_of(RATES, ONE, {}, 1, BUDGET | changes)
    assert {candidate.experiment.settings.validation_interval for candidate in plan.candidates} == {interval}


PLANS = {
    "nothing swept": ({"meta_batch": [4, 4]}, {}, {}, "nothing has several values; name some, as in --meta-batch 4,25, or use `mamlzoo run`"),
    "an empty list": ({"meta_batch": []}, {}, {}, "meta_batch is an empty list; name its values"),
    "out of bounds": ({"algorithm.inner_lr": [0.1, -1]}, {}, {}, "algorithm.inner_lr must be at least 0, not -1"),
    "no such option": ({"algorithm.inner_rl": [0.1, 1]}, {}, {}, "algorithm 'maml' has no option 'inner_rl'; did you mean 'inner_lr'"),
    "no such setting": ({"meta_bach": [1, 2]}, {}, {}, "a run has no option 'meta_bach'; did you mean 'meta_batch'?"),
    "no such kind": ({"optimiser.lr": [1, 2]}, {}, {}, "option 'optimiser.lr' must begin with 'task.', 'model.', 'algorithm.', 'optimizer.', 'outer_lr.' or 'network.'"),
    "seeds": ({"seeds": [1, 2]}, {}, {}, "seeds cannot stand among the axes; it is the same for all cells"),
    "a kind": ({"algorithm": ["maml", "anil"]}, {}, {}, "algorithm cannot stand among the axes; several are given as algorithm=[…]"),
    "an option twice": (RATES, {"algorithm.inner_lr": 1}, {}, "algorithm.inner_lr is given twice: as an axis, and as the same for all cells"),
    "a setting twice": ({"meta_batch": [1, 2]}, {}, {"meta_batch": 2}, "meta_batch is given twice"),
    "too many cells": ({"meta_batch": "1:200:1", "iterations": "1:100:1"}, {}, {}, "20,000 cells; a sweep has at most 10,000"),
}  # fmt: skip


@pytest.mark.parametrize(("axes", "options", "fixed", "line"), PLANS.values(), ids=PLANS)
def test_what_cannot_be_swept_is_one_clear_line(axes, options, fixed, line):
    with pytest.raises(UsageError) as caught:
        grid_of(axes, ONE, options, 1, fixed)
    assert str(caught.value).startswith(line)


def test_a_cells_numbers_are_those_of_the_same_run_alone(whole):
    for (cell, found), rate in zip(whole.sweep.finished, RATES["algorithm.inner_lr"], strict=True):
        alone = mamlzoo.run(algorithm=MAML(inner_lr=rate), seeds=2, validate_every=2, **BUDGET)
        last = alone.evaluation.values["mse"].astype(np.float64)[:, :, -1].mean(1)
        assert found.test.per_seed == tuple(last)
        assert found.test.mean == pytest.approx(last.mean())
        (record,) = alone.validation
        assert found.valid.per_seed == tuple(record.values)
        half = 12.706204736 * np.std(record.values, ddof=1) / math.sqrt(2)  # t of one degree of freedom
        assert (found.valid.mean, found.valid.ci95) == pytest.approx((record.values.mean(), half))
        assert mamlzoo.load(cell.run_dir).evaluation.per_seed[:, -1].tolist() == last.tolist()


def test_the_same_sweep_with_one_more_value_runs_that_alone(whole):
    assert {
        experiment.algorithm.inner_lr for experiment, event in whole.heard if isinstance(event, TrainingRecord)
    } == {0.1}
    assert [cell.run_dir for cell in whole.more.cells][:2] == [cell.run_dir for cell in whole.sweep.cells]
    assert [one.test for _, one in whole.more.finished][:2] == [one.test for _, one in whole.sweep.finished]


def test_the_directory_holds_a_run_for_each_cell_and_the_sweep(whole):
    names = {path.name for path in whole.directory.iterdir()}
    runs = {"inner_lr=0.01", "inner_lr=0.05", "inner_lr=0.1"}
    assert names == runs | {"sweep.json", "sweep.csv", "sweep.png", files.LOCK}
    document = json.loads((whole.directory / "sweep.json").read_text())
    assert document == {"format": 1} | whole.more.document()
    assert document["axes"] == [{"key": "algorithm.inner_lr", "values": [0.01, 0.05, 0.1]}]
    assert [(cell["state"], cell["run"]) for cell in document["cells"]] == [("finished", run) for run in sorted(runs)]


def test_the_csv_has_a_row_a_cell(whole):
    rows = list(csv.DictReader(io.StringIO((whole.directory / "sweep.csv").read_text())))
    for row, (cell, found) in zip(rows, whole.more.finished, strict=True):
        assert float(row["algorithm.inner_lr"]) == cell.values["algorithm.inner_lr"]
        assert (float(row["valid"]), float(row["test"])) == (found.valid.mean, found.test.mean)
        assert (row["best"] == "yes") == (cell is whole.more.best())


def test_a_combination_that_cannot_work_is_a_failed_cell_and_stops_no_other(tmp_path):
    sweep = mamlzoo.sweep({}, algorithm=["protonet", "maml"], out=tmp_path / "all", **BUDGET)
    assert [cell.state for cell in sweep.cells] == ["failed", "finished"]
    assert sweep.cells[0].error.startswith("algorithm 'protonet' classifies by class means")
    document = json.loads((tmp_path / "all" / "sweep.json").read_text())
    assert document["cells"][0]["error"] == sweep.cells[0].error
    assert not (tmp_path / "all" / "algorithm=protonet").exists()


class Breaks(MAML):
    """MAML that fails where its rate is large, once it is armed."""

    name = "breaks"
    armed = False

    def meta_loss(self, learner, meta, episode, progress):
        if self.inner_lr > 0.1 and Breaks.armed:
            raise ValueError("too large")
        return super().meta_loss(learner, meta, episode, progress)


def test_a_cell_that_fails_as_it_runs_stops_no_other_and_is_tried_again(tmp_path):
    ended = []
    plan = grid_of({"algorithm.inner_lr": [0.5, 0.01]}, ONE | {"algorithm": [Breaks()]}, {}, 1, BUDGET)

    def hear(what):
        Breaks.armed = True
        said = what.name if isinstance(what, Part) else what.split(":")[2].strip().split()[0]
        states = [cell["state"] for cell in json.loads((tmp_path / "all" / "sweep.json").read_text())["cells"]]
        ended.append((said, *states))

    sweep = sweep_directory.record(plan, tmp_path / "all", RecordingPolicy(begins=hear, says=hear))
    assert ended == [
        ("inner_lr=0.5", "waiting", "waiting"),
        ("failed", "failed", "waiting"),
        ("inner_lr=0.01", "failed", "waiting"),
        ("valid", "failed", "finished"),
    ]
    assert "ValueError: too large" in sweep.failed[0].error
    Breaks.armed = False
    assert [cell.state for cell in sweep_directory.record(plan, tmp_path / "all").cells] == ["finished", "finished"]


def test_where_no_cell_can_work_one_line_says_why_and_nothing_is_left(tmp_path):
    with pytest.raises(
        UsageError, match="^none of the 2 cells can work: algorithm 'protonet' classifies by class means"
    ):
        mamlzoo.sweep({"outer_lr": [1, 2]}, algorithm="protonet", out=tmp_path / "new" / "all", **BUDGET)
    assert list(tmp_path.iterdir()) == []


def test_another_directory_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(UsageError, match="exists and is no empty directory; nothing is overwritten, choose another"):
        mamlzoo.sweep(RATES, out=tmp_path, **BUDGET)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_two_do_not_work_on_one_sweep(whole):
    with files.locked(whole.directory), pytest.raises(MamlzooError, match="is being written by another process"):
        mamlzoo.sweep(RATES, out=whole.directory, seeds=2, **BUDGET)


@pytest.mark.parametrize(
    "going_on",
    [sweep_directory.record, lambda plan, directory: mamlzoo.resume(directory)],
    ids=["the call again", "resume"],
)
def test_a_stopped_sweep_says_so_and_goes_on_to_the_same_numbers(whole, tmp_path, going_on):
    plan, heard = grid_of(RATES, ONE, {}, 2, BUDGET), []
    policy = RecordingPolicy(Interval(steps=1), lambda *event: heard.append(event), lambda: any(
        experiment.algorithm.inner_lr == 0.05 and isinstance(event, TrainingRecord) for experiment, event in heard
    ))  # fmt: skip
    with pytest.raises(StoppedError, match=r"^stopped; to go on: mamlzoo resume \S+/all$"):
        sweep_directory.record(plan, tmp_path / "all", policy)
    states = [cell["state"] for cell in json.loads((tmp_path / "all" / "sweep.json").read_text())["cells"]]
    assert states == ["finished", "waiting"]
    with pytest.raises(
        UsageError, match="all is not finished, 1 of 2 cells being left; `mamlzoo resume .*` goes on with it"
    ):
        mamlzoo.load(tmp_path / "all")
    on = going_on(plan, tmp_path / "all")
    assert [(one.valid, one.test) for _, one in on.finished] == [
        (one.valid, one.test) for _, one in whole.sweep.finished
    ]


def test_a_sweep_is_loaded_as_it_was(tmp_path):
    made = mamlzoo.sweep({"model.hidden": "40,40;8"}, algorithm=["maml", "protonet"], out=tmp_path / "all", **BUDGET)
    loaded = mamlzoo.load(tmp_path / "all")
    assert (loaded.axes, loaded.finished) == (made.axes, made.finished)
    assert (repr(loaded), loaded.document()) == (repr(made), made.document())
    assert len(loaded.failed) == 2
    mamlzoo.report(loaded, tmp_path / "all.html")
    assert "hidden=8" in (tmp_path / "all.html").read_text()


def test_a_sweep_that_keeps_the_best_is_loaded_too(tmp_path):
    mamlzoo.sweep({"outer_lr": [0.1, 0.2]}, out=tmp_path / "all", select_best=True, **BUDGET)
    assert len(mamlzoo.load(tmp_path / "all").finished) == len(mamlzoo.resume(tmp_path / "all").finished) == 2


def test_plugins_of_one_name_are_told_apart_when_a_sweep_is_loaded(tmp_path):
    several = [MAML(inner_lr=0.01), MAML(inner_lr=0.05)]
    made = mamlzoo.sweep({}, algorithm=several, out=tmp_path / "all", **BUDGET)
    assert mamlzoo.load(tmp_path / "all").axes == made.axes


def test_a_run_of_another_sweep_is_none_of_its_cells(whole, tmp_path):
    directory = shutil.copytree(whole.directory, tmp_path / "all")
    document = json.loads((directory / "sweep.json").read_text())
    document["cells"][0]["run"] = document["cells"][1]["run"]
    (directory / "sweep.json").write_text(json.dumps(document))
    with pytest.raises(MamlzooError, match="holds another experiment than .*sweep.json says"):
        mamlzoo.load(directory)


@pytest.mark.slow
def test_a_sweep_of_other_versions_keeps_what_is_finished(tmp_path):
    mamlzoo.sweep({"outer_lr": [0.1, 0.2]}, out=tmp_path / "all", **BUDGET)
    older = '"version": "mamlzoo 0.0.9"'
    for path in [*(tmp_path / "all").glob("*/config.json"), tmp_path / "all" / "sweep.json"]:
        path.write_text(re.sub(r'"version": "mamlzoo [^"]*"', older, path.read_text()))
    for run in (tmp_path / "all").glob("outer_lr*"):
        restamp(run)
    shutil.rmtree(tmp_path / "all" / "outer_lr=0.2")
    before = (tmp_path / "all" / "outer_lr=0.1" / "result.json").stat().st_mtime_ns
    assert len(mamlzoo.resume(tmp_path / "all").finished) == 2
    assert (tmp_path / "all" / "outer_lr=0.1" / "result.json").stat().st_mtime_ns == before
    assert {path.parent.name for path in (tmp_path / "all").glob("*/config.json")} == {"outer_lr=0.1", "outer_lr=0.2"}
    assert len(mamlzoo.load(tmp_path / "all").finished) == 2


def test_what_came_from_python_is_not_gone_on_with_from_the_directory_alone(tmp_path):
    mamlzoo.sweep({"outer_lr": [0.1, 0.2]}, model=lambda: nn.Linear(1, 1), out=tmp_path / "all", **BUDGET)
    shutil.rmtree(tmp_path / "all" / "outer_lr=0.1")
    with pytest.raises(MamlzooError, match="outer_lr=0.1 is not there; `mamlzoo resume .*` makes it again"):
        mamlzoo.load(tmp_path / "all")
    with pytest.raises(UsageError, match="came from Python.*; the `sweep` that began .*all goes on with it"):
        mamlzoo.resume(tmp_path / "all")


WRONG = {
    "other values than its config": ("cells.0.values", {"algorithm.inner_lr": 0.05}, "its cells[0].values is"),
    "an axis that no cell has": ("axes.0.key", "outer_lr", "its cells[0].values is"),
    "values that no cell has": ("axes.0.values", [0.3, 0.4], "its cells[0].values.algorithm.inner_lr is"),
    "one value": ("axes.0.values", [0.01], "its axes[0].values is"),
    "no list of values": ("axes.0.values", {"a": 1}, "its axes[0].values is"),
    "a value of no kind": ("axes.0.values", [{"a": 1}, 2], "its axes[0].values.0 is"),
    "no validation": ("cells.1.config.settings.validate_every", None, "its cells[1].config.settings.validate_every is"),
    "nothing at all": ("cells.1", None, "its cells[1] is"),
    "a run elsewhere": ("cells.1.run", "../all", "its cells[1].run is"),
    "a run of a long name": ("cells.1.run", "x" * 300, "its cells[1].run is"),
    "an error of two lines": ("cells.1.error", "a\nb", "its cells[1].error is"),
    "another version": ("format", "1", "its format is '1', which is no version of a layout"),
}


@pytest.mark.parametrize(("place", "value", "said"), WRONG.values(), ids=WRONG)
def test_a_document_whose_parts_do_not_fit_is_refused_at_its_place(whole, tmp_path, place, value, said):
    directory = tmp_path / "all"
    directory.mkdir()
    document = parent = json.loads((whole.directory / "sweep.json").read_text())
    *within, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    for part in within:
        parent = parent[part]
    parent[last] = value
    (directory / "sweep.json").write_text(json.dumps(document))
    for use in (mamlzoo.load, mamlzoo.resume):
        with pytest.raises(MamlzooError) as caught:
            use(directory)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_sweep_goes_on_with_code_that_has_moved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    code = "from torch import nn\n\nclass Net(nn.Linear):\n    def __init__(self):\n        super().__init__(1, 1)\n"
    Path("net.py").write_text(code)
    mamlzoo.sweep({"outer_lr": [0.1, 0.2]}, model="net.py:Net", out="all", **BUDGET)
    shutil.rmtree("all/outer_lr=0.2")
    Path("moved").mkdir()
    Path("net.py").rename("moved/net.py")
    trust.add([Source(str(tmp_path / "moved" / "net.py:Net"), source_code.digest("moved/net.py"))])
    before = Path("all/outer_lr=0.1/result.json").stat().st_mtime_ns
    assert len(mamlzoo.resume("all").finished) == 2
    assert Path("all/outer_lr=0.1/result.json").stat().st_mtime_ns == before
    assert {path.parent.name for path in Path("all").glob("*/config.json")} == {"outer_lr=0.1", "outer_lr=0.2"}


def test_a_diverged_seed_is_counted_and_left_out_of_the_mean():
    alone = mamlzoo.run(optimizer="sgd", outer_lr=1e30, validate_every=2, **BUDGET)
    found = Scores.of(alone)
    assert found.diverged == alone.diverged == {0: 1}
    assert math.isnan(found.valid.mean)
    json.dumps(swept(found, scores(1.0)).document(), allow_nan=False)


def test_two_functions_from_python_keep_directories_of_their_own(tmp_path):
    def networks():
        return [lambda: nn.Linear(1, 1), lambda: nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1))]

    first = mamlzoo.sweep({}, model=networks(), out=tmp_path / "all", **BUDGET)
    again = mamlzoo.sweep({}, model=networks(), out=tmp_path / "all", **BUDGET)
    assert len({cell.run_dir for cell in first.cells}) == 2
    assert [cell.run_dir for cell in again.cells] == [cell.run_dir for cell in first.cells]


def test_of_a_run_that_keeps_its_best_theta_that_one_is_judged():
    alone = mamlzoo.run(seeds=2, outer_lr=1.0, select_best=True, validate_every=1, **BUDGET)
    assert Scores.of(alone).valid.per_seed == tuple(np.stack([one.values for one in alone.validation]).min(0))
