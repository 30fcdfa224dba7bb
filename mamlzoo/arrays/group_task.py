"""Rows in groups as a task: to adapt to a new group by a few of its rows."""

from __future__ import annotations

import functools
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional

from mamlzoo.arrays.group_episodes import GroupEpisodes, Kind
from mamlzoo.arrays.rows_by_class import Short
from mamlzoo.arrays.splits import given as given_split
from mamlzoo.arrays.task_parts import GivenSplit, digest_of, parts_of, spec_of, told_of
from mamlzoo.contracts.classification import class_metrics
from mamlzoo.contracts.data import Episode, Spec, Split
from mamlzoo.contracts.inputs import Inputs
from mamlzoo.contracts.options import make, option
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.ranges import Range


class GroupTask(Task):
    """Rows in groups, from arrays: regression, or classes that mean the same in every group.

    A training episode takes a random group of its split, and of its rows `shots` to adapt on and `queries` others to
    judge by; in valid and test each group is one episode, with rows drawn once by the run's test-seed, so that
    intervals are over groups. No group is in two splits.

    Loss: mean squared error, or cross-entropy. Metrics: the error, or accuracy and the loss.
    """

    episodes: ClassVar[GroupEpisodes]
    split: ClassVar[dict[Split, list[Any]] | None]
    shots: int | Range = option(5, "support rows of an episode, or a range to draw from, as 1..20", minimum=1)
    queries: int = option(10, "query rows of an episode", minimum=1)
    valid: float = option(0.2, "fraction of the groups to validate on, one at least", minimum=0, maximum=1)
    test: float = option(0.2, "fraction of the groups to test on, one at least", minimum=0, maximum=1)
    split_seed: int = option(0, "which split of the groups", minimum=0)
    short: Short = option("refuse", "groups of fewer rows than shots + queries: refuse, or use what they have")

    def __post_init__(self) -> None:
        super().__post_init__()
        for split, part in self._parts.items():
            with told_of(self.name, f"in {split} "):
                part.check(shots=self.shots, queries=self.queries, short=self.short)

    @functools.cached_property
    def spec(self) -> Spec:
        return spec_of(
            self.episodes.inputs,
            output_size=self.episodes.output_size,
            kind=self.episodes.kind,
            test_episodes=len(self._parts["test"].names),
            valid_episodes=len(self._parts["valid"].names),
        )

    @property
    def higher_is_better(self) -> frozenset[str]:
        return frozenset({"accuracy"}) if self.episodes.kind == "classification" else frozenset()

    @functools.cached_property
    def _parts(self) -> dict[Split, GroupEpisodes]:
        with told_of(self.name):
            return parts_of(self.episodes, self.split, valid=self.valid, test=self.test, seed=self.split_seed)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        with told_of(self.name):
            return self._parts[split].draw(
                count,
                shots=self.shots,
                queries=self.queries,
                generator=generator,
                short=self.short,
                in_turn=split != "train",
            )

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        if self.episodes.kind == "classification":
            return functional.cross_entropy(prediction, target)
        return (prediction - target).square().mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        if self.episodes.kind == "classification":
            return class_metrics(prediction, target)
        return {"mse": self.loss(prediction, target)}

    def data_digest(self) -> str:
        return digest_of(self.episodes, self.split)


def task_of_groups(
    x: Any,
    y: Any,
    groups: Any,
    *,
    kind: Kind = "regression",
    split: GivenSplit | None = None,
    inputs: Inputs | None = None,
    scale: float | None = None,
    name: str = "arrays",
    **options: Any,
) -> Task:
    """Rows in groups as a task: to adapt to a new patient, sensor or trial by a few of its rows.

        task = mamlzoo.task_of_groups(x, y, trial, shots=5)
        result = mamlzoo.run(task, "mlp", "maml")

    Each group of the valid and of the test split is one episode, so that intervals are over groups.

    Args:
        x: inputs, an array [m, *shape], or a dict or a tuple of them: tensors, NumPy arrays, memory maps. It stays
            where it is; only the rows that are drawn are read.
        y: targets [m] or [m, targets]; of a classification [m], whole numbers from 0 that mean the same in each group.
        groups: of each example its group, a number or a text, [m].
        kind: what y is, as in a Spec.
        split: the groups to train, to validate and to test on, by 'train', 'valid' and 'test'; None: at random.
        inputs: what an input is made of, as `Spec.inputs` says it; None: numbers of the arrays' shapes.
        scale: what inputs are divided by when they are drawn; None: 255 where they are of uint8, else 1.
        name: what the task is called in tables.
        **options: shots (5, or a `Range`) and queries (10); valid and test (0.2), fractions of the groups, and
            split_seed; short, 'refuse' or 'use' groups of fewer rows than shots and queries.

    Raises:
        UsageError: arrays do not fit together, or a group has too few rows.
    """
    found = GroupEpisodes(x, y, groups, kind=kind, inputs=inputs, scale=scale)
    divided = None if split is None else given_split(split, "group")

    # Arrays are no options: a class holds them, so that its instances are made of options alone.
    class Given(GroupTask):
        episodes = found
        split = divided

        @classmethod
        def example(cls) -> Self:
            return cls(**options)

    Given.name, Given.__doc__, Given.__qualname__ = name, GroupTask.__doc__, GroupTask.__qualname__
    return make(Given, options, f"task '{name}'")
