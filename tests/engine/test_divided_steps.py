"""Meta-steps into which something is added between the gradient and the outer optimiser, as several workers do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mamlzoo import trees
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.blocks import blocks
from mamlzoo.engine.carried_statistics import columns
from mamlzoo.engine.divided_steps import KeptGradients, keeping_gradients
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.native.writer import UncoveredError
from mamlzoo.engine.plan_choice import Training, prepare
from mamlzoo.errors import MamlzooError
from mamlzoo.runs.execution import finished
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.maml_plus_plus import MAMLPlusPlus
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")
STEPS = 7
PLANS = ["loop", "vmap", "compile"]


class Trial:
    """Meta-steps of two seeds, four tasks each."""

    def __init__(self, algorithm=None, **training):
        task = Sine()
        self.bound = bind_seeds(task, MLP(hidden=(8,)), algorithm or MAML(), (0, 1), CPU)
        self.stream = TrainingStream(task, (0, 1), 4, CPU)
        chosen = {"reduction": "mean", "optimizer": "sgd", "outer_lr": 0.01, "plan": "vmap"} | training
        self.training = Training(STEPS, **chosen)
        self.block, _ = next(blocks(self.stream, STEPS, (self.training.outer_lr,)))

    def steps(self, training=None):
        return finished(prepare(self.bound, self.stream, training or self.training))[0]

    def kept(self):
        """By an optimiser that keeps the gradient, and the run's own behind it."""
        own, algorithm = self.steps(keeping_gradients(self.training)), self.bound.algorithm
        optimizer = self.training.optimizer_of(self.bound.meta, algorithm.statistics)
        return KeptGradients(optimizer, own, columns(self.bound.meta, algorithm.statistics), lambda own: own)

    def after(self, steps):
        """θ and what was measured."""
        measured = steps.advance(self.block, 0, STEPS)
        return steps.optimizer.theta, *trees.leaves(measured)


@pytest.mark.parametrize("plan", PLANS)
def test_what_is_added_is_what_the_optimiser_gets(plan):
    alone = Trial(plan=plan, outer_lr=0.02)
    twice = Trial(plan=plan, outer_lr=0.01)
    expected, losses = alone.after(alone.steps())
    theta, doubled = twice.after(twice.steps().adding(lambda own: 2 * own))
    torch.testing.assert_close(theta, expected, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(doubled, 2 * losses, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("plan", PLANS)
def test_it_is_called_once_a_meta_step_with_the_gradients_and_the_loss(plan):
    seen, trial = [], Trial(plan=plan)
    numbers = trees.ravel(trial.bound.meta).shape[1]

    def add(own):
        seen.append(own.clone())
        return own

    _, losses = trial.after(trial.steps().adding(add))
    assert [row.shape for row in seen] == [(2, numbers + 1)] * STEPS
    torch.testing.assert_close(torch.stack([row[:, -1] for row in seen]), losses)


@pytest.mark.parametrize("plan", PLANS)
def test_an_error_in_it_ends_the_meta_steps_and_is_told(plan):
    seen = []

    def add(own):
        seen.append(own)
        if len(seen) == 3:
            raise MamlzooError("the other one is gone")
        return own

    trial = Trial(plan=plan)
    with pytest.raises(MamlzooError, match="the other one is gone"):
        trial.after(trial.steps().adding(add))
    assert len(seen) == 3


@pytest.mark.parametrize("training", [
    {"optimizer": "adam"},
    {"reduction": "sum", "clip_norm": 0.5, "clip_per": "task"},
    {"optimizer": "adamw", "ema": 0.9, "clip_norm": 0.5},
])  # fmt: skip
@pytest.mark.parametrize("algorithm", [MAML(), MAMLPlusPlus()], ids=["maml", "with statistics"])
def test_an_optimiser_that_keeps_the_gradient_keeps_that_of_the_meta_step(algorithm, training):
    trial = Trial(algorithm, **training)
    for found, expected in zip(trial.after(trial.kept()), trial.after(trial.steps()), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_program_by_the_inductor_keeps_its_gradient(monkeypatch):
    def uncovered(*what):
        raise UncoveredError("nothing is covered")

    monkeypatch.setattr("mamlzoo.engine.native.taskwise.TaskwiseSteps", uncovered)
    trial = Trial(plan="compile", optimizer="adam")
    assert trial.steps().adding(lambda own: own) is None
    for found, expected in zip(
        trial.after(trial.kept()), trial.after(trial.steps(replace(trial.training, plan="vmap"))), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
