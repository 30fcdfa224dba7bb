"""Anything of the outer loop as an axis of a sweep: each value goes to the cells that can have it."""

from __future__ import annotations

import pytest

import mamlzoo
from mamlzoo import UsageError
from mamlzoo.sweeps.grid import grid_of

ONE = {"task": ["sine"], "model": ["mlp"], "algorithm": ["meta-sgd"]}


def cells(axes, options=None, settings=None):
    grid = grid_of(axes, ONE, options or {}, 1, settings or {})
    assert [candidate.error for candidate in grid.candidates] == [None] * len(grid.candidates)
    return grid


def test_an_option_goes_to_the_optimisers_that_have_it():
    grid = cells({"optimizer.momentum": "0,0.9", "optimizer": "sgd,adam", "optimizer.weight-decay": [0.0, 0.1]})
    found = [(one.experiment.settings.optimizer, one.experiment.settings.optimizer_options) for one in grid.candidates]
    assert len(found) == 6
    assert ("sgd", {"momentum": 0.9, "weight_decay": 0.1}) in found
    assert ("adam", {"weight_decay": 0.1}) in found
    assert {axis.name for axis in grid.axes} == {"momentum", "optimizer", "weight_decay"}


def test_a_setting_goes_to_the_schedules_that_have_it():
    grid = cells({"schedule": "constant,cosine,step", "final_factor": [0.0, 0.1]}, settings={"decay_every": 7})
    settings = [one.experiment.settings for one in grid.candidates if one.experiment]
    assert [(one.schedule, one.final_factor) for one in settings] == [
        ("constant", 0.0), ("cosine", 0.0), ("cosine", 0.1), ("step", 0.0),
    ]  # fmt: skip
    assert settings[-1].decay_every == 7


def test_a_setting_that_no_schedule_has_is_refused_and_not_forgotten():
    grid = grid_of({"schedule": "constant,cosine", "decay_every": [7]}, ONE, {}, 1, {})
    assert [one.error for one in grid.candidates] == [
        f"settings: decay_every is of schedule step, and the schedule is {name}" for name in ("constant", "cosine")
    ]


@pytest.mark.parametrize(
    ("key", "values", "read"),
    [
        ("schedule", "constant,cosine", lambda settings: settings.schedule),
        ("warmup", "0:10:5", lambda settings: settings.warmup),
        ("clip_norm", "none,1,10", lambda settings: settings.clip_norm),
        ("ema", "none,0.9", lambda settings: settings.ema),
        ("patience", "1,2", lambda settings: settings.patience),
        ("outer_lr.rates", "log:1e-3:1e-1:3", lambda settings: settings.group_lrs["rates"]),
        ("outer-lr.rates", [0.1, 0.2], lambda settings: settings.group_lrs["rates"]),
        ("optimizer.betas", "0.9,0.99;0.5,0.9", lambda settings: settings.optimizer_options["betas"]),
    ],
)
def test_any_of_it_can_be_an_axis(key, values, read):
    grid = cells({key: values})
    (axis,) = grid.axes
    assert [read(one.experiment.settings) for one in grid.candidates] == list(axis.values)
    assert len(axis.values) > 1


@pytest.mark.parametrize(
    ("axes", "options", "settings", "line"),
    [
        ({"optimizer.momentum": [1, 2]}, {}, {}, "optimizer 'adam' has no option 'momentum'; there are"),
        ({"optimizer.lr": [1, 2]}, {}, {}, "optimizer 'adam' is not given lr: the rate is the setting outer_lr"),
        ({"optimizer.eps": "a,b"}, {}, {}, "optimizer.eps 'a' is not a number"),
        ({"optimizer.eps": [1, 2]}, {"optimizer.eps": 1}, {}, "optimizer.eps is given twice"),
        ({"optimizer_options": [1, 2]}, {}, {}, "optimizer_options cannot stand among the axes"),
        ({"outer_lr.rates": [-1, 2]}, {}, {}, "outer_lr.rates must be at least 0, not -1"),
    ],
)
def test_what_cannot_be_swept_is_one_clear_line(axes, options, settings, line):
    with pytest.raises(UsageError) as caught:
        grid_of(axes, ONE, options, 1, settings)
    assert str(caught.value).startswith(line)


def test_a_value_that_torch_refuses_fails_its_own_cell():
    grid = grid_of({"optimizer.weight_decay": [0.1, -0.1]}, ONE, {}, 1, {})
    assert [one.error for one in grid.candidates] == [
        None,
        "optimizer 'adam' refuses weight_decay = -0.1: Invalid weight_decay value: -0.1",
    ]


@pytest.mark.slow
def test_a_sweep_over_them_is_recorded_loaded_and_gone_on_with(tmp_path, no_figures):
    budget = {"iterations": 1, "meta_batch": 2, "test_tasks": 3, "test_steps": 1, "valid_tasks": 3, "plan": "vmap"}
    axes = {"optimizer.weight_decay": [0.0, 0.1], "outer_lr.rates": [0.1, 0.2], "ema": [0.5]}
    sweep = mamlzoo.sweep(axes, out=tmp_path / "sweep", algorithm="meta-sgd", **budget)
    assert len(sweep.finished) == 4
    loaded = mamlzoo.load(tmp_path / "sweep")
    assert [cell.values for cell in loaded.cells] == [cell.values for cell in sweep.cells]
    assert {(cell.values["outer_lr.rates"], cell.config["settings"]["group_lrs"]["rates"]) for cell in loaded.cells} == {
        (0.1, 0.1), (0.2, 0.2),
    }  # fmt: skip
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").glob("*/result.json")}
    mamlzoo.sweep(axes, out=tmp_path / "sweep", algorithm="meta-sgd", **budget)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").glob("*/result.json")} == before
