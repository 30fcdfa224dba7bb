"""An algorithm's numbers are inputs of its program: another rate is no other program, and each seed may have its own."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import pytest
import torch
from test_taskwise import CPU, Trial

from mamlzoo import option, trees
from mamlzoo.engine import plan_choice
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.blocks import blocks
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.gradients import EAGER
from mamlzoo_algorithms.cavia import CAVIA
from mamlzoo_algorithms.imaml import IMAML
from mamlzoo_algorithms.maml import MAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

RATES = (0.01, 0.2)


class Weighted(MAML):
    """MAML of a meta-loss that is multiplied by a number, made of an option in some way."""

    name = "weighted"
    weight: float = option(1.0, "what the meta-loss is multiplied by")

    def factor(self):
        return self.weight

    def meta_loss(self, learner, meta, episode, progress):
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        return self.factor() * loss, logs


class Branching(Weighted):
    """Doubles what is large."""

    name = "branching"

    def factor(self):
        return 2.0 if self.weight > 1 else 1.0


class Rooted(Weighted):
    """Asks Python for a root."""

    name = "rooted"

    def factor(self):
        return math.sqrt(self.weight)


class Filling(Weighted):
    """Fills a tensor."""

    name = "filling"

    def factor(self):
        return torch.full((), self.weight)


class Copying(Weighted):
    """Makes a tensor of a number."""

    name = "copying"

    def factor(self):
        return torch.tensor(self.weight)


class Saying(Weighted):
    """Writes a number down."""

    name = "saying"

    def factor(self):
        return float(f"{self.weight:g}")


class Remembering(Weighted):
    """Computes a number once."""

    name = "remembering"

    @functools.cached_property
    def squared(self):
        return self.weight**2

    def factor(self):
        return self.squared


class Prepared(Weighted):
    """Computes a number when it is made."""

    name = "prepared"

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "squared", self.weight**2)

    def factor(self):
        return self.squared


def same_meta_steps(trial, steps=3):
    """Whether a program's meta-steps are those of vmap to 1e-5, each from where vmap stands."""
    vmap, compiled = trial.vmap(), trial.compiled()
    vmap.advance(trial.block, 0, 1)
    for at in range(1, 1 + steps):
        compiled.optimizer.restore(vmap.optimizer.meta, vmap.optimizer.saved(), vmap.optimizer.average)
        found, expected = (by.advance(trial.block, at, at + 1) for by in (compiled, vmap))
        torch.testing.assert_close(found.losses, expected.losses, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(compiled.optimizer.theta, vmap.optimizer.theta, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MAML(inner_lr=0.01), MAML(inner_lr=0.3)),
        (MAML(inner_lr=0.1), MAML(inner_lr=0.0)),
        (
            MAML(inner_optimizer="adam", inner_momentum=0.0, inner_clip=1.0),
            MAML(inner_optimizer="adam", inner_momentum=0.8, inner_beta2=0.9, inner_eps=1e-2, inner_clip=0.1),
        ),
        pytest.param(
            IMAML(inner_steps=2), IMAML(inner_steps=2, inner_lr=0.02, strength=2.0, damping=0.1), marks=pytest.mark.slow
        ),
        (CAVIA(inner_lr=1.0), CAVIA(inner_lr=0.5)),
        (Weighted(weight=2.0), Weighted(weight=3.0)),
    ],
    ids=lambda algorithm: algorithm.name,
)
def test_other_numbers_are_the_same_program_and_make_the_meta_steps_of_vmap(one, other):
    one, other = (Trial(each, optimizer="sgd") for each in (one, other))
    assert one.traced.path == other.traced.path
    for trial in (one, other):
        same_meta_steps(trial)
        assert trial.disagreement() is None


def test_the_numbers_are_those_of_float64_too():
    trial = Trial(MAML(inner_lr=0.1), optimizer="sgd", dtype=torch.float64)
    torch.testing.assert_close(theta_of(trial, "compile"), theta_of(trial, "vmap"), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cls", [Branching, Rooted, Filling, Saying, Prepared])
def test_what_must_be_a_python_number_stays_a_constant_and_the_others_are_inputs(cls):
    one, other = (Trial(cls(weight=weight), optimizer="sgd") for weight in (0.5, 2.0))
    assert "weight" not in one.traced.options
    assert ("inner_lr" in one.traced.options) == (cls is not Prepared)
    assert one.traced.path != other.traced.path


@pytest.mark.parametrize(
    "cls", [Branching, *(pytest.param(cls, marks=pytest.mark.slow) for cls in (Rooted, Filling, Saying, Prepared))]
)
def test_a_program_with_a_constant_makes_the_meta_steps_of_vmap(cls):
    for weight in (0.5, 2.0):
        same_meta_steps(Trial(cls(weight=weight), optimizer="sgd"))


@pytest.mark.parametrize("cls", [Remembering, Copying])
def test_what_is_made_of_a_number_is_made_of_the_input(cls):
    algorithm = cls(weight=0.5)
    algorithm.factor()
    one, other = Trial(algorithm, optimizer="sgd"), Trial(cls(weight=2.0), optimizer="sgd")
    assert one.traced.path == other.traced.path
    assert "weight" in one.traced.options
    for trial in (one, other):
        same_meta_steps(trial)


def prepared(*what):
    """Meta-steps and the choice that was made."""
    preparing = plan_choice.prepare(*what)
    while True:
        try:
            next(preparing)
        except StopIteration as end:
            return end.value


def rows(plan, algorithm=MAML, option="inner_lr", values=RATES, **settings):
    """θ after a few meta-steps, of seeds with a number each at once, and of each alone."""
    numbers = {option: torch.tensor(values, dtype=torch.float64)}
    together = Trial(algorithm(), numbers=numbers, **settings)
    alone = [Trial(algorithm(**{option: value}), seeds=(seed,), **settings) for seed, value in enumerate(values)]
    found = [theta_of(trial, plan) for trial in (together, *alone)]
    return found[0], torch.cat(found[1:])


def theta_of(trial, plan, last=4):
    """After some meta-steps."""
    steps = trial.compiled() if plan == "compile" else trial.vmap()
    if plan == "loop":
        steps._gradients = EAGER["loop"](trial.bound, "mean", None, None)
    steps.advance(trial.block, 0, last)
    return steps.optimizer.theta


@pytest.mark.parametrize(
    ("plan", "settings"),
    [
        *(pytest.param(plan, {}, id=plan) for plan in ("compile", "vmap", "loop")),
        *(
            pytest.param(plan, settings, id=f"{plan}-{name}", marks=[] if plan == "vmap" else pytest.mark.slow)
            for plan in ("compile", "vmap", "loop")
            for name, settings in {"recomputed": {"recompute": True}, "clipped": {"clip": 0.5}}.items()
        ),
    ],
)
def test_seeds_with_numbers_of_their_own_give_what_each_gives_alone(plan, settings):
    together, alone = rows(plan, optimizer="sgd", **settings)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    if plan == "loop":
        assert torch.equal(together, alone)


def test_numbers_of_seeds_are_prepared_as_all_else_is():
    """More seeds than batching is tried on."""
    task, rates = Sine(), torch.tensor([0.01, 0.05, 0.1])
    bound = replace(bind_seeds(task, MLP(hidden=(9,)), MAML(), (0, 1, 2), CPU), numbers={"inner_lr": rates})
    training = plan_choice.Training(1000, "mean", "sgd", 1e-3, "compile")
    assert prepared(bound, TrainingStream(task, (0, 1, 2), 5, CPU), training)[1].plan == "compile"


def test_numbers_of_seeds_are_no_other_program():
    first = Trial(MAML())
    assert Trial(MAML(), numbers={"inner_lr": torch.tensor(RATES)}).traced.path == first.traced.path


def test_where_an_algorithm_branches_on_what_differs_between_seeds_each_is_computed_by_the_loop():
    task, own = Sine(), (0.5, 2.0, 3.0)
    weights, seeds = torch.tensor(own, dtype=torch.float64), tuple(range(len(own)))
    bound = replace(bind_seeds(task, MLP(hidden=(9,)), Branching(), seeds, CPU), numbers={"weight": weights})
    stream = TrainingStream(task, seeds, 5, CPU)
    steps, choice = prepared(bound, stream, plan_choice.Training(100_000, "mean", "sgd", 1e-3, "auto"))
    assert choice.plan == "loop"
    block, _ = next(blocks(stream, 1000, (1e-3,)))
    steps.advance(block, 0, 3)
    for seed, weight in enumerate(own):
        alone = Trial(Branching(weight=weight), seeds=(seed,), optimizer="sgd")
        assert torch.equal(steps.optimizer.theta[seed], theta_of(alone, "loop", 3)[0])


def test_eager_meta_steps_hold_python_numbers():
    seen = []

    class Seeing(Weighted):
        """Keeps what it was given."""

        name = "seeing"

        def factor(self):
            seen.append(self.weight)
            return self.weight

    trial = Trial(Seeing())
    seen.clear()
    for plan in ("vmap", "loop"):
        gradients = EAGER[plan](trial.bound, "mean", None, None)
        gradients(trial.vmap().optimizer.meta, trees.index(trial.block.episodes, 0), trial.block.progress[0])
    assert set(map(type, seen)) == {float}
