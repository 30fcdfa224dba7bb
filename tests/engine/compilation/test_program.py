"""The plan `compile` gives the numbers of `vmap`, for every algorithm and optimiser; what it cannot do, it says."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from every_algorithm import TRAINED, fitting, representatives
from torch import nn

from mamlzoo import trees
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.blocks import blocks
from mamlzoo.engine.compilation.inductor import _linking_to_itself, compile_program, load
from mamlzoo.engine.compilation.program import BatchedSteps, Replay
from mamlzoo.engine.compilation.program_cache import CannotCompileError, DamagedError
from mamlzoo.engine.compilation.traced_steps import CompiledSteps
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.gradients import EAGER
from mamlzoo.engine.outer_optimizer import UNFIT, OuterOptimizer
from mamlzoo.engine.steps import EagerSteps
from mamlzoo.runs.name_resolution import as_model
from mamlzoo_algorithms.maml import MAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")
OPTIMIZERS = sorted(
    name.lower()
    for name, cls in vars(torch.optim).items()
    if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
    if name.lower() not in UNFIT
)
STEPS = 6


class Traced:
    """The same meta-steps by the vmap plan and by the graph that `compile` makes of it."""

    def __init__(
        self, algorithm, *, seeds=(0, 1), meta_batch=4, reduction="mean", chunk=None, optimizer="adam", model=None, lr=1e-3,
        recompute=False, task=None,
    ):  # fmt: skip
        task = task or Sine()
        bound = bind_seeds(task, model or MLP(hidden=(16, 16)), algorithm, seeds, CPU, recompute=recompute)
        self.bound, self.reduction = bound, reduction
        self.stream = TrainingStream(task, seeds, meta_batch, CPU)
        self.block, _ = next(blocks(self.stream, 1000, (lr,)))
        self.vmap, one, trial = (
            EagerSteps(OuterOptimizer(optimizer, lr, bound.meta), EAGER["vmap"](bound, reduction, None))
            for _ in range(3)
        )
        logs = list(trial.advance(self.block, 0, 1).logs)
        self.traced = BatchedSteps(bound, reduction, trial.optimizer, self.block, logs, chunk)
        self.steps = lambda run: CompiledSteps(one.optimizer, one, self.traced, run)

    def places(self):
        """Of each number of a row of θ, the name of the parameter that it belongs to."""
        return [
            name for group in self.bound.meta.values() for name, leaf in group.items() for _ in range(leaf[0].numel())
        ]

    def agrees(self, steps, tolerance=1e-5):
        for first, last in ((0, 1), (1, 4), (4, STEPS)):
            expected, found = (by.advance(self.block, first, last) for by in (self.vmap, steps))
            assert found.losses.shape == (last - first, len(self.stream.seeds))
            assert list(found.logs) == list(expected.logs)
            for a, b in zip(trees.leaves(found), trees.leaves(expected), strict=True):
                torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(steps.optimizer.theta, self.vmap.optimizer.theta, rtol=tolerance, atol=tolerance)


def traced(name, **settings):
    """An algorithm with a task that it takes, under SGD.

    Adam would blow rounding up to its rate where a gradient is 0, as that of ProtoNet's last bias.
    """
    found = fitting(name)
    return Traced(found.shortened(), task=found.task, optimizer="sgd", lr=0.01, **settings)


@pytest.mark.parametrize(
    "algorithm",
    [name if name in ("fomaml", "proto-maml") else pytest.param(name, marks=pytest.mark.slow) for name in TRAINED],
)
def test_the_graph_of_every_algorithm_gives_the_numbers_of_vmap(algorithm):
    trial = traced(algorithm)
    trial.agrees(trial.steps(Replay(trial.traced.graph)))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [name for name in TRAINED if name in representatives()])
def test_the_graph_holds_the_sum_over_tasks_as_it_holds_their_mean(algorithm):
    trial = traced(algorithm, reduction="sum")
    trial.agrees(trial.steps(Replay(trial.traced.graph)))


UNTRACEABLE = {"adafactor", "asgd", "radam"}
"""They ask for the value of their step counter."""


def bias_free():
    return nn.Sequential(nn.Linear(1, 8, bias=False), nn.ReLU(inplace=True), nn.Linear(8, 1, bias=False))


@pytest.mark.parametrize(
    "optimizer",
    [
        name if name in ("adam", "muon", "sgd") else pytest.param(name, marks=pytest.mark.slow)
        for name in OPTIMIZERS
        if name not in UNTRACEABLE
    ],
)
def test_the_graph_holds_the_optimiser(optimizer):
    trial = Traced(MAML(), optimizer=optimizer, model=as_model(bias_free))
    # Muon computes in bfloat16, which makes more of the last bit.
    trial.agrees(trial.steps(Replay(trial.traced.graph)), 1e-4 if optimizer == "muon" else 1e-5)


@pytest.mark.parametrize(
    "optimizer", ["radam", *(pytest.param(name, marks=pytest.mark.slow) for name in sorted(UNTRACEABLE - {"radam"}))]
)
def test_an_optimiser_that_cannot_be_traced_says_why(optimizer):
    with pytest.raises(CannotCompileError, match="it asks for a tensor's value"):
        Traced(MAML(), optimizer=optimizer, model=as_model(bias_free))


@pytest.mark.parametrize("reduction", ["mean", pytest.param("sum", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("chunk", "passes"),
    [(4, 2), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(1, 6), (2, 3), (3, 2), (6, 1), (99, 1)])],
)
def test_a_chunk_makes_several_passes_of_a_meta_step_and_changes_nothing(chunk, passes, reduction):
    trial = Traced(MAML(), meta_batch=6, chunk=chunk, reduction=reduction, optimizer="sgd")
    assert trial.traced.passes == passes
    trial.agrees(trial.steps(Replay(trial.traced.graph)))


def test_recomputed_steps_can_be_compiled():
    trial = Traced(MAML(inner_steps=2), recompute=True)
    trial.agrees(trial.steps(Replay(trial.traced.graph)))


@pytest.mark.parametrize("shots", [2, 7])
def test_a_program_is_never_run_with_sizes_that_it_was_not_made_for(shots):
    trial, called = Traced(MAML(), seeds=(0,)), []
    steps = trial.steps(lambda *given: called.append(given))
    steps.advance(trial.block, 0, 1)  # which is eager
    block, _ = next(blocks(TrainingStream(Sine(shots=shots), (0,), 4, CPU), 1000, (1e-3,)))
    with pytest.raises(ValueError, match="a program that was compiled for .* was given"):
        steps.advance(block, 1, 2)
    assert called == []


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_only_the_first_meta_step_of_all_is_eager(optimizer, monkeypatch):
    trial = Traced(MAML(), optimizer=optimizer)
    steps = trial.steps(Replay(trial.traced.graph))
    steps.advance(trial.block, 0, 2)
    monkeypatch.setattr(EagerSteps, "advance", None)
    steps.advance(trial.block, 2, 3)


HELD = torch.tensor([0.5, 2.0])


class Holding(MAML):
    """Uses a tensor of its module, more than once."""

    name = "holding"

    def meta_loss(self, learner, meta, episode, progress):
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        return loss * HELD[0] + HELD.prod() * loss, logs


def test_a_tensor_that_an_algorithm_holds_is_one_input_of_the_program_however_often_it_is_used():
    trial = Traced(Holding())
    assert [tensor is HELD for tensor in trial.traced.lifted] == [True]
    trial.agrees(trial.steps(Replay(trial.traced.graph)))


class Peeking(MAML):
    """Asks for a tensor's value, where the rules forbid it."""

    name = "peeking"

    def meta_loss(self, learner, meta, episode, progress):
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        return (loss if progress.item() < 2 else loss * 2), logs


def test_an_algorithm_that_asks_for_a_value_cannot_be_compiled():
    with pytest.raises(CannotCompileError, match="it asks for a tensor's value"):
        Traced(Peeking())


@pytest.fixture(scope="module")
def maml():
    return Traced(MAML(), meta_batch=4, chunk=2)


@pytest.fixture(scope="module")
def compiled(maml):
    return maml.traced.compiled()


@pytest.mark.slow  # compiling takes a fifth of a minute
def test_what_is_compiled_gives_the_numbers_of_vmap(maml, compiled):
    maml.agrees(maml.steps(compiled))


@pytest.mark.slow  # compiling takes a fifth of a minute
def test_going_on_in_the_middle_gives_the_bits_of_one_go(compiled):
    thetas = []
    for cuts in [(0, 1, 20), (0, 1, 2, 3, 11, 20)]:
        steps = Traced(MAML(), meta_batch=4, chunk=2)
        by = steps.steps(compiled)
        losses = [by.advance(steps.block, first, last).losses for first, last in itertools.pairwise(cuts)]
        thetas.append((by.optimizer.theta, torch.cat(losses)))
    assert all(torch.equal(a, b) for a, b in zip(*thetas, strict=True))


@pytest.mark.slow  # compiling takes a fifth of a minute
def test_the_same_meta_step_is_compiled_once(compiled):
    assert Traced(MAML(), meta_batch=4, chunk=2).traced.kept() is not None


@pytest.mark.slow
def test_what_changes_the_arithmetic_has_a_place_of_its_own_in_the_cache(maml):
    paths = {maml.traced.path}
    for other in (
        Traced(MAML(inner_steps=2), meta_batch=4, chunk=2),
        Traced(MAML(), meta_batch=6, chunk=2),
        Traced(MAML(), meta_batch=4, chunk=4),
        Traced(MAML(), meta_batch=4, chunk=2, reduction="sum"),
        Traced(MAML(), meta_batch=4, chunk=2, seeds=(0, 1, 2)),
    ):
        assert other.traced.path not in paths
        paths.add(other.traced.path)
    assert Traced(MAML(), meta_batch=4, chunk=2, seeds=(7, 8)).traced.path in paths
    assert Traced(MAML(), meta_batch=4, chunk=2, lr=2e-3).traced.path in paths
    assert Traced(MAML(inner_lr=0.02), meta_batch=4, chunk=2).traced.path in paths


class Double(nn.Module):
    """A program small enough to be compiled in no time."""

    def forward(self, x):
        return (2 * x,)


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("g++"), reason="g++ on Linux is what this is about")
def test_a_program_is_linked_to_its_own_copies_of_the_librarys_templates(tmp_path):
    (_, compiler) = _linking_to_itself(tmp_path, {"cpp.cxx": (None, "g++")})["cpp.cxx"]
    steps = subprocess.run([compiler, "-###", "-shared", "a.o"], capture_output=True, text=True, check=False).stderr
    assert "-Bsymbolic-functions" in steps
    assert Path(compiler).name == "g++"


def test_without_a_compiler_that_is_said_and_nothing_is_left_behind(tmp_path):
    without = torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)})
    with without, pytest.raises(CannotCompileError, match="no C\\+\\+ compiler was found"):
        compile_program(Double(), [torch.ones(3)], tmp_path / "double.program")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_removed_and_said(tmp_path):
    for damage in (b"", b"no package", bytes(10_000)):
        path = tmp_path / "damaged.program"
        path.write_bytes(damage)
        with pytest.raises(DamagedError, match=r"damaged\.program is damaged$"):
            load(path)
        assert load(path) is None


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", TRAINED)
def test_every_algorithm_compiled_gives_the_numbers_of_vmap(algorithm):
    trial = traced(algorithm)
    trial.agrees(trial.steps(trial.traced.compiled()))
