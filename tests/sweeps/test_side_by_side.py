"""Cells that differ in numbers alone: trained side by side on one seed axis, and each as if it were alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from every_algorithm import SMALL, TRAINED, fitting

import mamlzoo
from mamlzoo import trees
from mamlzoo.contracts.numeric_options import numeric_options
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.outer_optimizer import OuterOptimizer, Part
from mamlzoo.engine.plan_choice import Choice
from mamlzoo.engine.side_by_side import joined_states, states_of
from mamlzoo.engine.steps import Measured
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.settings import Settings
from mamlzoo.runs import companions as companions_module
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.companions import companions
from mamlzoo.runs.config import config_of
from mamlzoo.runs.recording_policy import Interval, RecordingPolicy, StoppedError
from mamlzoo.sweeps import directory as sweep_directory
from mamlzoo.sweeps.grid import grid_of
from mamlzoo_algorithms.maml import MAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

pytestmark = pytest.mark.usefixtures("no_figures")
BUDGET = {"iterations": 4, "meta_batch": 3, "test_tasks": 4, "test_steps": 2, "valid_tasks": 3, "plan": "vmap"}
RATES = [0.003, 0.01, 0.05]
PARTS = {"task": Sine(shots=4, queries=4), "model": SMALL}
A_STEP = 1e-5
"""How far θ may be apart for each meta-step, relative to its largest number."""


def swept(axes, out, algorithm="maml", **changes):
    return mamlzoo.sweep(axes, algorithm=algorithm, out=out, **PARTS, **BUDGET | {"seeds": 2} | changes)


def alone(algorithm="maml", **changes):
    return mamlzoo.run(algorithm=algorithm, **PARTS, **BUDGET | {"seeds": 2, "validate_every": 4} | changes)


def plans(directory):
    return [json.loads(path.read_text())["plan"]["why"] for path in sorted(directory.glob("*/result.json"))]


def apart(one, two):
    """How far two trees of the same structure are apart, relative to the largest number."""
    pairs = list(zip(trees.leaves(one), trees.leaves(two), strict=True))
    return max(float((a - b).abs().max()) for a, b in pairs) / max(float(b.abs().max()) for _, b in pairs)


def experiments(algorithms, **settings):
    common = {"meta_batch": 3, "iterations": 10, "seeds": (0,)} | settings
    return [Experiment(PARTS["task"], SMALL, one, Settings(**common)) for one in algorithms]


def grouped(found, standing=None):
    return companions(found, [config_of(one) for one in found], standing or [0] * len(found))


def assert_same(result, expected):
    assert apart(result.meta, expected.meta) < A_STEP * BUDGET["iterations"]
    for metric, values in expected.evaluation.values.items():
        assert result.evaluation.values[metric] == pytest.approx(values, rel=1e-3, abs=1e-4)
    assert result.diverged == expected.diverged
    assert [one.step for one in result.history] == [one.step for one in expected.history]
    assert [one.step for one in result.validation] == [one.step for one in expected.validation]


def test_rates_are_trained_at_once_and_each_finds_what_it_finds_alone(tmp_path):
    sweep = swept({"algorithm.inner_lr": RATES}, tmp_path / "all")
    assert all("side by side with 2 other cells" in why for why in plans(tmp_path / "all"))
    for cell, rate in zip(sweep.cells, RATES, strict=True):
        assert_same(mamlzoo.load(cell.run_dir), alone(MAML(inner_lr=rate)))


OUTER = {
    "outer rate": ({"outer_lr": [1e-3, 1e-2]}, {}),
    "outer rates of groups": ({"outer_lr.rates": [0.1, 0.5]}, {"algorithm": "meta-sgd"}),
    "option of the optimiser": ({"optimizer.weight_decay": [0.0, 0.1]}, {}),
    "option that makes a state": ({"optimizer.momentum": [0.0, 0.9]}, {"optimizer": "sgd"}),
    "an optimiser of whole tensors": ({"outer_lr": [1e-3, 1e-2]}, {"optimizer": "adafactor"}),
    "rates by two axes": ({"outer_lr": [1e-3, 1e-2], "algorithm.inner_lr": [0.01, 0.02]}, {}),
    "a schedule and an average": ({"outer_lr": [1e-3, 1e-2]}, {"schedule": "cosine", "ema": 0.5, "clip_norm": 0.1}),
}


ALWAYS = {"rates by two axes", "option that makes a state"}
"""In the ordinary suite; the others are slow tests."""


@pytest.mark.parametrize(
    ("axes", "common"),
    [pytest.param(*case, id=name, marks=[] if name in ALWAYS else [pytest.mark.slow]) for name, case in OUTER.items()],
)
def test_numbers_of_the_outer_loop_are_each_cells_own(tmp_path, axes, common):
    sweep = swept(axes, tmp_path / "all", **common)
    assert all("side by side" in why for why in plans(tmp_path / "all"))
    for cell in sweep.cells:
        outer = {key: value for key, value in cell.values.items() if not key.startswith("algorithm.")}
        dotted = {key: value for key, value in outer.items() if "." in key}
        plain = {key: value for key, value in outer.items() if "." not in key}
        own = {key: value for key, value in cell.values.items() if key.startswith("algorithm.")}
        assert_same(mamlzoo.load(cell.run_dir), alone(options=dotted | own, **common | plain))


@pytest.mark.slow
@pytest.mark.parametrize("name", [one for one in TRAINED if numeric_options(fitting(one).algorithm)])
def test_every_number_of_every_algorithm_is_each_cells_own(tmp_path, name):
    whole, task = fitting(name).shortened(), fitting(name).task
    for option, value in numeric_options(whole).items():
        several = [whole, replace(whole, **{option: 0.9 * value if value else 0.0})]
        if several[0] == several[1]:
            continue
        common = BUDGET | {"seeds": 2, "iterations": 2, "optimizer": "sgd", "outer_lr": 1e-3}
        found = mamlzoo.sweep(
            {f"algorithm.{option}": [getattr(one, option) for one in several]},
            task=task, model=SMALL, algorithm=whole, out=tmp_path / option, **common,
        )  # fmt: skip
        for cell, own in zip(found.cells, several, strict=True):
            expected = mamlzoo.run(task, SMALL, own, validate_every=2, **common)
            result = mamlzoo.load(cell.run_dir)
            assert apart(result.meta, expected.meta) < 2 * A_STEP, (option, result.plan)


@pytest.mark.parametrize("plan", ["vmap", pytest.param("compile", marks=pytest.mark.slow)])
def test_what_is_stopped_goes_on_together_to_the_bits_of_never_stopped(tmp_path, plan):
    common = BUDGET | {"plan": plan, "iterations": 6}
    parts = {kind: [part] for kind, part in PARTS.items()} | {"algorithm": ["maml"]}
    grid = grid_of({"algorithm.inner_lr": RATES}, parts, {}, 2, common)
    heard = []
    policy = RecordingPolicy(
        Interval(steps=2), lambda *told: heard.append(told), lambda: any(isinstance(told[1], TrainingRecord) for told in heard)
    )  # fmt: skip
    with pytest.raises(StoppedError):
        sweep_directory.record(grid, tmp_path / "stopped", policy)
    begun = sorted((tmp_path / "stopped").glob("*/config.json"))
    steps = {
        run_directory.read_checkpoint(
            path.parent, "checkpoint.pt", run_directory.read_config(path.parent)
        ).training.step
        for path in begun
    }
    assert len(begun) == 3
    assert len(steps) == 1
    assert 0 < min(steps) < 6
    one = shutil.copytree(begun[0].parent, tmp_path / "one")
    said = f"begun side by side with 2 other cells, from meta-step {min(steps)} on alone: the last bits may differ"
    assert said in mamlzoo.resume(one).remarks
    resumed, whole = mamlzoo.resume(tmp_path / "stopped"), sweep_directory.record(grid, tmp_path / "whole")
    for one, two in zip(resumed.cells, whole.cells, strict=True):
        assert trees.equal(mamlzoo.load(one.run_dir).meta, mamlzoo.load(two.run_dir).meta)
        assert one.scores.test == two.scores.test
        assert list(mamlzoo.load(one.run_dir).remarks) == list(mamlzoo.load(two.run_dir).remarks)
        assert (one.run_dir / "metrics.jsonl").read_text() == (two.run_dir / "metrics.jsonl").read_text()


def test_a_cell_that_diverges_ends_where_it_does_alone_and_disturbs_no_other(tmp_path):
    common = {"optimizer": "sgd", "iterations": 12, "seeds": 2}
    sweep = swept({"outer_lr": [1e30, 1e-3]}, tmp_path / "all", **common)
    broken, whole = (mamlzoo.load(cell.run_dir) for cell in sweep.cells)
    expected = alone(outer_lr=1e30, **common)
    assert broken.diverged == expected.diverged == {0: 1, 1: 1}
    assert broken.checkpoint.training.step == expected.checkpoint.training.step < 12
    assert [one.step for one in broken.history] == [one.step for one in expected.history]
    assert whole.checkpoint.training.step == 12
    assert not whole.diverged
    assert sweep.cells[0].state == sweep.cells[1].state == "finished"


def test_a_cell_out_of_patience_keeps_what_it_ended_with(tmp_path):
    common = {"iterations": 40, "validate_every": 4, "patience": 1, "optimizer": "sgd"}
    sweep = swept({"outer_lr": [0.0, 1e-3]}, tmp_path / "all", **common)
    for cell, rate in zip(sweep.cells, [0.0, 1e-3], strict=True):
        result, expected = mamlzoo.load(cell.run_dir), alone(outer_lr=rate, **common)
        assert result.checkpoint.training.step == expected.checkpoint.training.step
        assert list(result.remarks) == list(expected.remarks)
        assert result.checkpoint.best.steps.tolist() == expected.checkpoint.best.steps.tolist()
        assert_same(result, expected)
    assert mamlzoo.load(sweep.cells[0].run_dir).checkpoint.training.step == 8


class Fails(MAML):
    """MAML whose training fails at its end, where it is armed: for every cell beside others, for a large rate alone."""

    name = "fails"
    armed = False

    def meta_loss(self, learner, meta, episode, progress):
        beside = isinstance(self.inner_lr, torch.Tensor)
        if Fails.armed and (beside or self.inner_lr > 0.1):
            raise ValueError("not today")
        return super().meta_loss(learner, meta, episode, progress)


def test_where_one_fails_beside_others_each_is_run_alone(tmp_path, monkeypatch):
    def begins(part):
        Fails.armed = True
        sizes.append(part.at_once)

    sizes = []
    parts = {kind: [part] for kind, part in PARTS.items()} | {"algorithm": [Fails()]}
    grid = grid_of({"algorithm.inner_lr": [0.5, 0.01]}, parts, {}, 2, BUDGET)
    sweep = sweep_directory.record(grid, tmp_path / "all", RecordingPolicy(begins=begins))
    Fails.armed = False
    assert sizes == [2]
    assert [cell.state for cell in sweep.cells] == ["failed", "finished"]
    assert "ValueError: not today" in sweep.cells[0].error
    assert not (tmp_path / "all" / "inner_lr=0.5").exists()


def test_one_by_one_each_cell_has_the_bits_of_its_run_alone(tmp_path):
    sweep = swept({"algorithm.inner_lr": RATES}, tmp_path / "all", one_by_one=True)
    for cell, rate in zip(sweep.cells, RATES, strict=True):
        assert trees.equal(mamlzoo.load(cell.run_dir).meta, alone(MAML(inner_lr=rate)).meta)


def test_a_listener_hears_each_cell_and_what_is_of_all_once(tmp_path):
    heard = []
    swept({"algorithm.inner_lr": RATES}, tmp_path / "all", progress=lambda *told: heard.append(told))
    records = [one.algorithm.inner_lr for one, event in heard if isinstance(event, TrainingRecord) and event.step == 4]
    assert records == RATES
    assert len([event for _, event in heard if isinstance(event, Choice)]) == 1
    assert {one.algorithm.inner_lr for one, event in heard if isinstance(event, Checkpoint)} == set(RATES)


class Branches(MAML):
    """MAML that asks what its rate is."""

    name = "branches"

    def meta_loss(self, learner, meta, episode, progress):
        return super().meta_loss(learner, meta, episode, progress) if self.inner_lr > 0.02 else super().meta_loss(
            learner, meta, episode, 1 - progress
        )  # fmt: skip


class Sized(MAML):
    """MAML whose θ⁰ is as large as its rate says: known when it is bound."""

    name = "sized"

    def init(self, params):
        return trees.tree_map(lambda leaf: 10 * self.inner_lr * leaf, super().init(params))


class Described(MAML):
    """MAML that is of another order from a rate on."""

    name = "described"

    @property
    def order(self):
        return "exact" if self.inner_lr < 0.02 else "first"


def test_cells_that_differ_in_an_integer_or_a_word_are_apart():
    several = [MAML(inner_lr=0.01), MAML(inner_lr=0.02), MAML(inner_lr=0.01, inner_steps=2), MAML(inner_lr=0.05)]
    assert grouped(experiments(several)) == [[0, 1, 3], [2]]


def test_what_an_algorithm_branches_on_keeps_cells_apart_and_other_numbers_do_not():
    rates = experiments([Branches(inner_lr=rate) for rate in RATES])
    assert grouped(rates) == [[0], [1], [2]]
    both = [replace(one, settings=replace(one.settings, outer_lr=rate)) for one in rates[:2] for rate in (1e-3, 1e-2)]
    assert grouped(both) == [[0, 1], [2, 3]]


def test_what_only_starts_otherwise_goes_side_by_side():
    assert grouped(experiments([Sized(inner_lr=rate) for rate in RATES])) == [[0, 1, 2]]


def test_what_an_algorithm_says_of_itself_keeps_cells_apart():
    assert grouped(experiments([Described(inner_lr=rate) for rate in RATES])) == [[0], [1], [2]]


def test_other_tasks_networks_and_places_are_apart():
    one = experiments([MAML(inner_lr=0.01), MAML(inner_lr=0.02)])
    assert grouped(one, [0, 4]) == [[0], [1]]
    assert grouped([one[0], replace(one[1], task=Sine(shots=5, queries=4))]) == [[0], [1]]
    assert grouped([one[0], replace(one[1], model=MLP(hidden=(9,), activation="tanh"))]) == [[0], [1]]


def test_one_task_after_another_is_not_done_side_by_side():
    assert grouped(experiments([MAML(inner_lr=0.01), MAML(inner_lr=0.02)], plan="loop")) == [[0], [1]]


def test_more_than_memory_has_room_for_go_in_parts(monkeypatch):
    several = experiments([MAML(inner_lr=0.01 * (at + 1)) for at in range(5)])
    monkeypatch.setattr(companions_module, "MOST", 2)
    assert grouped(several) == [[0, 1], [2, 3], [4]]
    monkeypatch.setattr(companions_module, "MOST", 16)
    monkeypatch.setattr(companions_module, "BUDGET", 2**20)
    assert grouped(several) == [[0], [1], [2], [3], [4]]


def test_states_are_joined_and_apart_again_to_the_bits():
    results = [alone(MAML(inner_lr=rate), ema=0.5) for rate in RATES]
    recent = [Measured(torch.randn(5, 2), {"log": torch.randn(5, 2)}) for _ in RATES]
    states = [
        replace(result.checkpoint.training, recent=own, diverged={1: at} if at else {})
        for at, (result, own) in enumerate(zip(results, recent, strict=True))
    ]
    for state, back in zip(states, states_of(joined_states(states), len(states)), strict=True):
        assert trees.equal((state.meta, state.average, state.recent), (back.meta, back.average, back.recent))
        assert trees.equal([*state.optimizer], [*back.optimizer])
        assert (state.step, dict(state.diverged)) == (back.step, back.diverged)
    with pytest.raises(ValueError, match="different numbers of meta-steps"):
        joined_states([states[0], replace(states[1], step=9)])


class Doubles(MAML):
    """MAML that predicts otherwise where its rate is a tensor, which its meta-loss does not show."""

    name = "doubles"

    def predict(self, learner, meta, fast, x):
        found = super().predict(learner, meta, fast, x)
        return found if isinstance(self.inner_lr, float) else 2 * found

    def meta_loss(self, learner, meta, episode, progress):
        fast = self.adapt(learner, meta, self.start(learner, meta, episode.support), episode.support)
        return learner.loss(fast, episode.query), {}


def test_what_predicts_otherwise_beside_others_is_apart():
    assert grouped(experiments([Doubles(inner_lr=rate) for rate in RATES])) == [[0], [1], [2]]


def test_a_rate_that_runs_away_keeps_no_others_apart():
    assert grouped(experiments([MAML(inner_lr=rate) for rate in (0.01, 0.02, 1e30)])) == [[0, 1, 2]]


def test_a_momentum_that_one_cell_has_not_leaves_the_program_in_use():
    name = {"network": {"weight": torch.ones(2, 3)}}
    optimizer = OuterOptimizer("sgd", [Part(0.1), Part(0.1, options={"momentum": 0.9})], name)
    assert not optimizer.started
    optimizer.step({"network": {"weight": torch.ones(2, 3)}})
    assert optimizer.started


def stopped_sweep(out):
    parts = {kind: [part] for kind, part in PARTS.items()} | {"algorithm": ["maml"]}
    grid, heard = grid_of({"algorithm.inner_lr": RATES}, parts, {}, 2, BUDGET | {"iterations": 6}), []
    policy = RecordingPolicy(
        Interval(steps=1), lambda *told: heard.append(told), lambda: any(isinstance(told[1], TrainingRecord) for told in heard)
    )  # fmt: skip
    with pytest.raises(StoppedError):
        sweep_directory.record(grid, out, policy)
    return grid


def test_where_one_has_gone_on_meanwhile_each_goes_on_alone_to_its_end(tmp_path):
    grid = stopped_sweep(tmp_path / "all")

    def begins(part):
        if part.at_once > 1:
            mamlzoo.resume(tmp_path / "all" / "inner_lr=0.003")

    sweep = sweep_directory.record(grid, tmp_path / "all", RecordingPolicy(begins=begins))
    for cell in sweep.cells:
        assert mamlzoo.load(cell.run_dir).checkpoint.training.step == 6


def test_a_disk_that_refuses_is_said_of_its_own_cell(tmp_path, monkeypatch):
    def refuses(directory, *rest):
        if directory.name == "inner_lr=0.003":
            raise OSError(28, "No space left on device")
        write(directory, *rest)

    write = run_directory.write_checkpoint
    monkeypatch.setattr(run_directory, "write_checkpoint", refuses)
    sweep = swept({"algorithm.inner_lr": RATES}, tmp_path / "all")
    assert [cell.state for cell in sweep.cells] == ["failed", "finished", "finished"]
    assert "all/inner_lr=0.003 could not be written: No space left on device" in sweep.cells[0].error


def test_one_by_one_is_remembered_by_what_goes_on(tmp_path):
    def stop():
        return (tmp_path / "all" / "inner_lr=0.003" / "result.json").exists()

    parts = {kind: [part] for kind, part in PARTS.items()} | {"algorithm": ["maml"]}
    grid = grid_of({"algorithm.inner_lr": RATES}, parts, {}, 2, BUDGET)
    with pytest.raises(StoppedError):
        sweep_directory.record(grid, tmp_path / "all", RecordingPolicy(stop=stop), one_by_one=True)
    mamlzoo.resume(tmp_path / "all")
    assert not any("side by side" in why for why in plans(tmp_path / "all"))


def test_experiments_of_one_seed_have_its_episodes():
    stream = TrainingStream(Sine(), (3, 5, 3, 5), 2, torch.device("cpu"))
    two = TrainingStream(Sine(), (3, 5), 2, torch.device("cpu"))
    for rows in (slice(0, 2), slice(2, 4)):
        assert trees.equal(trees.index(stream.block(1), (slice(None), rows)), two.block(1))
