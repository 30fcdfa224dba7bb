"""Every installed algorithm with a task that it takes, found by trying; and the few of them that stand for all.

What holds for every algorithm is held to by `@pytest.mark.parametrize("name", each())`: the representatives in the
ordinary suite, the others among the slow tests. Representatives are the fewest algorithms that have every trait, found
greedily; so a new kind of algorithm is in the ordinary suite, and the tenth of a kind is not.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from mamlzoo import Distribution, MetaAlgorithm, Task, UsageError, trees
from mamlzoo.contracts.noise import Noise, keys
from mamlzoo.discovery.entry_points import installed
from mamlzoo.engine.binding import Bound, bind_seeds
from mamlzoo.errors import FOREIGN, MamlzooError
from mamlzoo.testing import examples
from mamlzoo_models.mlp import MLP

NAMES = sorted(installed().offers["algorithm"])
TRAINED = [name for name in NAMES if installed().offers["algorithm"][name].cls.trains]
FIRST_TRIED = ("sine", "blobs")
SMALL = MLP(hidden=(8,), activation="tanh")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Fitting:
    """An algorithm as it is by default, and the first task that it takes."""

    algorithm: MetaAlgorithm
    task: Task

    def bound(self) -> Bound:
        return bind_seeds(self.task, SMALL, self.algorithm, (0,), CPU)

    def shortened(self) -> MetaAlgorithm:
        """It with two adaptation steps at most in training, where what is made of its meta-loss grows with them."""
        steps = getattr(self.algorithm, "inner_steps", 0)
        return replace(self.algorithm, inner_steps=2) if steps > 2 else self.algorithm


@functools.cache
def fitting(name: str) -> Fitting:
    """The algorithm with `sine`, else `blobs`, else another installed task: the first that it does not refuse."""
    (algorithm,) = (plugin for plugin in examples(name) if plugin.kind == "algorithm")
    refusals = []
    for task in _tasks():
        found = Fitting(algorithm, task)
        try:
            found.bound()
        except UsageError as error:
            refusals.append(f"{task.name}: {error}")
        else:
            return found
    raise AssertionError(f"algorithm '{name}' refuses every installed task: {'; '.join(refusals)}")


def _tasks() -> Iterator[Task]:
    names = installed().offers["task"]
    for name in [*FIRST_TRIED, *sorted(set(names) - set(FIRST_TRIED))]:
        yield from (plugin for plugin in examples(name) if plugin.kind == "task")


@functools.cache
def traits(name: str) -> frozenset[str]:
    """What an algorithm is, as one episode shows. One that fails there has a trait of its own: so its tests tell."""
    try:
        return frozenset(_traits(fitting(name)))
    except (AssertionError, MamlzooError, *FOREIGN):
        return frozenset({f"{name} fails"})


def _traits(found: Fitting) -> Iterator[str]:
    algorithm, task, bound = found.algorithm, found.task, found.bound()
    how = "at once" if "complete-at-once" in algorithm.claims else "by steps"
    yield from (algorithm.order, f"{task.spec.kind} {how}") if algorithm.trains else ("untrained",)
    shapes = algorithm.networks(bound.learner.spec)
    yield {0: "no network", 1: "one network"}.get(len(shapes), "several networks")
    if any(map(callable, shapes.values())):
        yield "a network of its own"
    if set(bound.meta) - set(shapes):
        yield "more in θ than networks"
    if algorithm.statistics:
        yield "statistics"
    drawn = task.sample(1, split="train", generator=torch.Generator().manual_seed(0))
    if drawn.support.mask is not None:
        yield "on a task of sets of several sizes"
    episode = replace(trees.index(drawn, 0), key=keys(0, 1)[0])
    with _draws() as in_training:
        if algorithm.trains:
            algorithm.meta_loss(*bound.first(episode, training=True), episode, torch.tensor(0.0))
    learner, meta = bound.first(episode)
    with _draws() as in_predictions:
        fast = algorithm.start(learner, meta, episode.support)
        predicted = algorithm.predict(learner, meta, fast, episode.query.x)
    if in_training:
        yield "random in training"
    if in_predictions:
        yield "random in predictions"
    if isinstance(predicted, Distribution):
        yield "predicts distributions"


@contextmanager
def _draws() -> Iterator[list[Any]]:
    """What is drawn meanwhile, in any branch of the noise."""
    drawn, words = [], Noise._words
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Noise, "_words", lambda noise, shape: drawn.append(shape) or words(noise, shape))
        yield drawn


@functools.cache
def representatives() -> frozenset[str]:
    """The fewest algorithms that have every trait, found greedily; of equals the first by name."""
    chosen: set[str] = set()
    missing = frozenset().union(*map(traits, NAMES))
    while missing:
        best = max(NAMES, key=lambda name: len(traits(name) & missing))
        chosen.add(best)
        missing -= traits(best)
    return frozenset(chosen)


def each(names: Sequence[str] = NAMES) -> list:
    """These algorithms as parameters of a test: those that do not stand for all are slow."""
    return [name if name in representatives() else pytest.param(name, marks=pytest.mark.slow) for name in names]
