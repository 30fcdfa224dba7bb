"""The outer loop's settings in a run: averages and patience, what a result says of them, and directories of before."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import mamlzoo
from mamlzoo import Settings, UsageError, files, trees
from mamlzoo.contracts.options import options_of
from mamlzoo.contracts.recipe_files import parse
from mamlzoo.experiments.checkpoint import ValidationRecord
from mamlzoo.experiments.patience import ran_out
from mamlzoo.reproductions.reproduction import experiment_of
from mamlzoo.runs import checkpoint_file, recording
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.commands import command_of
from mamlzoo.runs.digests import LATER, digest, experiment_digest
from mamlzoo.runs.name_resolution import experiments
from mamlzoo.runs.recording_policy import Interval, RecordingPolicy

pytestmark = pytest.mark.usefixtures("no_figures")
BUDGET = {"iterations": 40, "meta_batch": 2, "test_tasks": 5, "test_steps": 1, "valid_tasks": 5, "plan": "vmap"}
RESTLESS = {"outer_lr": 0.1, "validate_every": 2, "patience": 3}
"""So large a rate that θ soon gets no better."""


def validations(*rows):
    return [ValidationRecord(step, "mse", np.array(row, float)) for step, row in enumerate(rows)]


NAN = float("nan")


@pytest.mark.parametrize(
    ("rows", "patience", "sign", "out"),
    [
        ([], 1, -1, []),
        ([[3]], 1, -1, [False]),
        ([[3], [3]], 1, -1, [True]),  # as good is no better
        ([[3], [4], [2]], 2, -1, [False]),
        ([[3], [4], [4]], 2, -1, [True]),
        ([[3], [4], [4], [1]], 2, -1, [True]),  # too late
        ([[3], [4]], 1, 1, [False]),  # a metric that grows
        ([[3], [4]], None, -1, [False]),
        ([[3, 3], [4, 2], [5, 1]], 2, -1, [True, False]),
        ([[NAN, 3], [NAN, 4]], 2, -1, [True, False]),  # diverged
        ([[NAN], [3], [4]], 2, -1, [False]),
    ],
)
def test_patience_runs_out_for_each_seed_on_its_own(rows, patience, sign, out):
    assert ran_out(validations(*rows), patience, sign).tolist() == out


def test_training_ends_when_patience_has_run_out_and_the_best_is_tested():
    result = mamlzoo.run(**BUDGET, **RESTLESS)
    last, (best,) = result.checkpoint.training.step, result.checkpoint.best.steps
    assert last < 40
    assert last == best + 2 * 3
    values = [float(record.values[0]) for record in result.validation]
    assert [record.step for record in result.validation][int(np.argmin(values))] == best
    said = f"training ended at meta-step {last} of 40: 3 validations in a row brought no better one"
    assert result.remarks == [said]
    assert said in result.document()["remarks"]
    assert result.meta is result.checkpoint.best.meta


def test_seeds_side_by_side_end_with_what_each_would_end_with_alone():
    together = mamlzoo.run(**BUDGET, **RESTLESS, seeds=3)
    alone = [mamlzoo.run(**BUDGET, **RESTLESS, seeds=[seed]) for seed in range(3)]
    assert len({result.checkpoint.training.step for result in alone}) > 1
    assert together.checkpoint.training.step == max(result.checkpoint.training.step for result in alone)
    assert together.remarks[0].endswith("3 validations in a row brought no better one for every seed")
    for seed, result in enumerate(alone):
        assert together.checkpoint.best.steps[seed] == result.checkpoint.best.steps[0]
        for a, b in zip(trees.leaves(together.meta), trees.leaves(result.meta), strict=True):
            torch.testing.assert_close(a[seed], b[0], rtol=1e-3, atol=1e-4)


def test_patience_brings_validations_of_its_own():
    assert mamlzoo.Settings(iterations=100, patience=2).validation_interval == 5


class Killed(BaseException):
    """What no part of mamlzoo expects."""


@pytest.fixture(scope="module")
def restless(tmp_path_factory, no_figures):
    """An experiment that patience ends, and its result."""
    (chosen,) = experiments(["sine"], ["mlp"], ["maml"], **BUDGET, **RESTLESS, seeds=2)
    return chosen, recording.record(chosen, tmp_path_factory.mktemp("restless") / "whole")


@pytest.mark.parametrize("events", [20, 100, *(pytest.param(events, marks=pytest.mark.slow) for events in (60, 1000))])
def test_a_run_that_was_killed_ends_where_patience_ends_it(events, restless, tmp_path):
    (chosen, whole), heard = restless, []

    def listen(experiment, event):
        heard.append(event)
        if len(heard) > events:
            raise Killed

    try:
        recording.record(chosen, tmp_path / "run", RecordingPolicy(Interval(steps=1), listen))
    except Killed:
        recording.resume(tmp_path / "run")
    found = mamlzoo.load(tmp_path / "run")
    assert trees.equal(found.meta, whole.meta)
    assert found.remarks == whole.remarks
    assert found.checkpoint.training.step == whole.checkpoint.training.step < 40
    assert trees.equal(recording.resume(tmp_path / "run").meta, whole.meta)


def test_an_average_is_what_is_validated_tested_kept_and_loaded(tmp_path):
    usual = mamlzoo.run(**BUDGET, validate_every=40)
    result = mamlzoo.run(**BUDGET, validate_every=40, ema=0.9, out=tmp_path / "run")
    state = result.checkpoint.training
    assert trees.equal(state.meta, usual.meta)  # θ itself is trained as before
    assert trees.equal(result.meta, state.average)
    assert not trees.equal(result.meta, state.meta)
    assert result.validation[-1].values != usual.validation[-1].values
    assert not np.array_equal(result.evaluation.main, usual.evaluation.main)
    loaded = mamlzoo.load(tmp_path / "run")
    assert trees.equal(loaded.meta, result.meta)
    assert trees.equal(loaded.checkpoint.training.meta, usual.meta)
    again = mamlzoo.run(**BUDGET | {"iterations": 0}, init_from=str(tmp_path / "run"))
    assert trees.equal(again.meta, result.meta)


OUTER = {
    "optimizer": "sgd", "options": {"optimizer.momentum": 0.9, "optimizer.nesterov": True, "outer_lr.rates": 0.5},
    "algorithm": "meta-sgd", "schedule": "step", "decay_every": 3, "decay_factor": 0.5, "warmup": 2, "clip_norm": 3.0,
    "clip_per": "task", "ema": 0.5, "outer_lr": 1e-4,
}  # fmt: skip


def test_all_of_it_is_in_the_config_and_in_the_command_that_makes_the_run_again(tmp_path):
    result = mamlzoo.run(**BUDGET | {"iterations": 4}, **OUTER, out=tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert settings["optimizer_options"] == {"momentum": 0.9, "nesterov": True}
    assert settings["group_lrs"] == {"rates": 0.5}
    command = command_of(mamlzoo.load(tmp_path / "run").config)
    for flag in ("--optimizer.momentum 0.9", "--optimizer.nesterov true", "--outer-lr.rates 0.5", "--schedule step",
                 "--decay-every 3", "--decay-factor 0.5", "--warmup 2", "--clip-norm 3.0", "--clip-per task", "--ema 0.5"):  # fmt: skip
        assert flag in command
    again = mamlzoo.run(**BUDGET | {"iterations": 4}, **OUTER | {"options": {}}, optimizer_options=settings["optimizer_options"], group_lrs={"rates": 0.5})  # fmt: skip
    assert trees.equal(again.meta, result.meta)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"options": {"optimizer.lr": 1.0}}, "optimizer 'adam' is not given lr: the rate is the setting outer_lr, --outer-lr"),
        ({"options": {"optimizer.wd": 1.0}}, "optimizer 'adam' has no option 'wd'"),
        ({"options": {"optimiser.eps": 1.0}}, "option 'optimiser.eps' must begin with 'task.', 'model.', 'algorithm.', 'optimizer.', 'outer_lr.' or 'network.'"),
        ({"options": {"outer_lr.rates": 1.0}}, "θ has no group 'rates' that could have an outer rate; there are: network"),
        ({"options": {"outer_lr.network": -1.0}}, "settings: group_lrs of 'network' must be at least 0, not -1.0"),
        ({"group_lrs": 3}, "settings: group_lrs must be values by name, as {'name': …}, not 3"),
        ({"options": {"optimizer.eps": 1.0}, "optimizer_options": {"eps": 1.0}}, "optimizer.eps is given twice: as an option, and in optimizer_options"),
        ({"schedule": "cosin"}, "settings: schedule 'cosin' is not one of them; did you mean 'cosine'?"),
        ({"schedule": "cosine", "decay_every": 3}, "settings: decay_every is of schedule step, and the schedule is cosine"),
        ({"final_factor": 0.1}, "settings: final_factor is of schedule cosine or linear, and the schedule is constant"),
        ({"final_factor": 1.1, "schedule": "cosine"}, "settings: final_factor must be at most 1, not 1.1"),
        ({"clip_norm": 0.0}, "settings: clip_norm must be above 0, not 0.0"),
        ({"clip_per": "task"}, "settings: clip_per says what clip_norm bounds, and there is no clip_norm"),
        ({"ema": 1.0}, "settings: ema must be below 1, not 1.0: an average that keeps all of itself stays θ⁰"),
        ({"patience": 0}, "settings: patience must be at least 1, not 0"),
        ({"warmup": -1}, "settings: warmup must be at least 0, not -1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_trained(given, said):
    with pytest.raises(UsageError) as error:
        mamlzoo.run(**BUDGET | given)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


RECIPE = """
name = "outer"
version = 1
summary = "a whole outer loop"
source = "nobody"
minutes = 1

[common]
task = "sine"
model = "mlp"
seeds = 1
schedule = "cosine"
options = { "optimizer.weight_decay" = 1e-4, "outer_lr.network" = 0.01 }

[runs.maml]
algorithm = "maml"
"""


def test_a_recipe_says_them_as_options_and_settings(tmp_path):
    settings = experiment_of(parse(RECIPE).runs[0], tmp_path).settings
    assert (settings.schedule, settings.optimizer_options) == ("cosine", {"weight_decay": 1e-4})
    assert settings.group_lrs == {"network": 0.01}
    assert hash(settings) == hash(experiment_of(parse(RECIPE).runs[0], tmp_path).settings)


def as_before(directory):
    """Make a run directory what it was before there were these settings."""
    path = directory / "config.json"
    config = json.loads(path.read_text())
    config["settings"] = {name: value for name, value in config["settings"].items() if name not in LATER}
    path.write_text(json.dumps(config))
    for name in (checkpoint_file.NAME, checkpoint_file.PREVIOUS):
        if (directory / name).exists():
            content = torch.load(directory / name, weights_only=True)
            del content["digest"], content["average"]
            torch.save(content | {"digest": digest(content)}, directory / name)
    if (directory / files.SUMS).exists():
        files.write_sums(directory, run_directory.SUMMED)


def test_a_run_of_before_is_loaded_and_is_the_same_experiment(tmp_path):
    (chosen,) = experiments(["sine"], ["mlp"], ["maml"], **BUDGET)
    result = recording.record(chosen, tmp_path / "run")
    as_before(tmp_path / "run")
    loaded = mamlzoo.load(tmp_path / "run")
    assert trees.equal(loaded.meta, result.meta)
    assert experiment_digest(loaded.config) == experiment_digest(result.config)
    assert trees.equal(recording.record_or_resume(chosen, tmp_path / "run").meta, result.meta)
    assert command_of(loaded.config) == command_of(result.config)


def test_a_run_of_before_goes_on_to_the_same_bits(tmp_path):
    (chosen,) = experiments(["sine"], ["mlp"], ["maml"], **BUDGET)
    whole, heard = recording.record(chosen, tmp_path / "whole"), []

    def listen(experiment, event):
        heard.append(event)
        if len(heard) > 40:
            raise Killed

    with pytest.raises(Killed):
        recording.record(chosen, tmp_path / "run", RecordingPolicy(Interval(steps=1), listen))
    as_before(tmp_path / "run")
    assert 0 < torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] < 40
    assert trees.equal(recording.resume(tmp_path / "run").meta, whole.meta)


def test_a_setting_of_another_value_is_another_experiment():
    configs = [
        {"settings": options, "task": {}, "model": {}, "algorithm": {}}
        for options in ({}, {"ema": None}, {"ema": 0.9}, {"optimizer_options": {}}, {"optimizer_options": {"eps": 1}})
    ]
    plain, off, average, none, eps = map(experiment_digest, configs)
    assert plain == off == none
    assert len({plain, average, eps}) == 3


def test_settings_that_came_later_are_all_known_to_be():
    first = {
        "seeds", "iterations", "meta_batch", "outer_lr", "optimizer", "meta_reduction", "test_tasks", "test_steps",
        "test_seed", "valid_tasks", "validate_every", "select_best", "init_from", "device", "plan", "chunk", "threads",
        "recompute", "precision",
    }  # fmt: skip
    assert options_of(Settings).keys() - first == LATER
