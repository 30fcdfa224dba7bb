"""Labelled examples as a task: N-way K-shot classification."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from mamlzoo.arrays.class_episodes import ClassEpisodes
from mamlzoo.arrays.rows_by_class import Short
from mamlzoo.arrays.splits import given as given_split
from mamlzoo.arrays.task_parts import GivenSplit, digest_of, parts_of, spec_of, told_of
from mamlzoo.contracts.classification import class_metrics
from mamlzoo.contracts.data import Episode, Spec, Split
from mamlzoo.contracts.inputs import Inputs
from mamlzoo.contracts.options import make, option
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.ranges import Range


class ClassTask(Task):
    """N-way K-shot classification of labelled examples: what a task of this kind derives from.

        class Birds(mamlzoo.ClassTask):
            name = "birds"

            @functools.cached_property
            def episodes(self) -> mamlzoo.ClassEpisodes:
                return mamlzoo.ClassEpisodes(*read_songs())

    An episode takes `ways` classes of its split in random order, which numbers them, and of each `shots` examples to
    adapt on and `queries` others to judge by. No class is in two splits. Training episodes may have other numbers of
    classes and of support examples; a network then has an output for each of the greater number of classes, of which
    the smaller episodes use the first. Examples are read when they are first needed.

    Loss: cross-entropy. Metrics: accuracy, and the loss.

    Reference: the episodic protocol is Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016.
    """

    higher_is_better = frozenset({"accuracy"})
    ways: int = option(5, "classes of an episode, N", minimum=2)
    shots: int | Range = option(1, "support examples a class, K, or a range to draw from, as 1..20", minimum=1)
    queries: int = option(15, "query examples a class", minimum=1)
    valid: float = option(0.2, "fraction of the classes to validate on, ways at least", minimum=0, maximum=1)
    test: float = option(0.2, "fraction of the classes to test on, ways at least", minimum=0, maximum=1)
    split_seed: int = option(0, "which split of the classes", minimum=0)
    short: Short = option("refuse", "classes of fewer examples than shots + queries: refuse, or use what they have")
    train_ways: int | None = option(None, "classes of a training episode; none: ways", minimum=2, later=True)
    train_shots: int | Range | None = option(
        None, "support examples a class in training episodes, or a range; none: shots", minimum=1, later=True
    )

    @property
    @abstractmethod
    def episodes(self) -> ClassEpisodes:
        """All labelled examples; a `functools.cached_property`, or a plain attribute."""

    @property
    def split(self) -> Mapping[Split, list[Any]] | None:
        """The classes, or groups, of each split by name; None: at random, by valid, test and split_seed."""
        return None

    def prepared(self, episodes: ClassEpisodes, split: Split) -> ClassEpisodes:
        """A split's episodes as they are drawn: by default as they are; here a task transforms its examples."""
        return episodes

    def _size(self, split: Split) -> tuple[int, int | Range]:
        """How many classes an episode has, and how many support examples of each."""
        if split != "train":
            return self.ways, self.shots
        return self.train_ways or self.ways, self.shots if self.train_shots is None else self.train_shots

    @functools.cached_property
    def spec(self) -> Spec:
        classes = max(self.ways, self.train_ways or 0)
        return spec_of(self.episodes.inputs, output_size=classes, kind="classification")

    @functools.cached_property
    def _parts(self) -> dict[Split, ClassEpisodes]:
        with told_of(self.name):
            parts = parts_of(
                self.episodes, self.split, valid=self.valid, test=self.test, seed=self.split_seed, least=self.ways
            )
        parts = {split: self.prepared(part, split) for split, part in parts.items()}
        for split, part in parts.items():
            ways, shots = self._size(split)
            own = ", of train_ways and train_shots," if (ways, shots) != (self.ways, self.shots) else ""
            with told_of(self.name, f"in {split}{own} "):
                part.check(ways=ways, shots=shots, queries=self.queries, short=self.short)
        return parts

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        ways, shots = self._size(split)
        part = self._parts[split]
        with told_of(self.name):
            return part.draw(
                count,
                ways=ways,
                shots=shots,
                queries=self.queries,
                generator=generator,
                short=self.short,
            )

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(prediction, target)

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return class_metrics(prediction, target)

    def data_digest(self) -> str:
        return digest_of(self.episodes, self.split)


def task_of_classes(
    examples: Any,
    labels: Any,
    *,
    split: GivenSplit | None = None,
    inputs: Inputs | None = None,
    scale: float | None = None,
    name: str = "arrays",
    **options: Any,
) -> Task:
    """N-way K-shot classification of labelled examples, as a task.

        task = mamlzoo.task_of_classes(images, labels, ways=5, shots=1)
        result = mamlzoo.run(task, "mlp", "protonet")

    Args:
        examples: an array [m, *shape], or a dict or a tuple of them: tensors, NumPy arrays, memory maps. It stays where
            it is; only the rows that are drawn are read.
        labels: of each example its class, a number or a text, [m].
        split: the classes to train, to validate and to test on, by 'train', 'valid' and 'test'; None: at random.
        inputs: what an example is made of, as `Spec.inputs` says it; None: numbers of the arrays' shapes.
        scale: what numbers are divided by when they are drawn; None: 255 where they are of uint8, else 1.
        name: what the task is called in tables.
        **options: ways (5), shots (1, or a `Range`), queries (15) of a class; valid and test (0.2), fractions of the
            classes, and split_seed; short, 'refuse' or 'use' classes of fewer examples than shots and queries;
            train_ways and train_shots, of training episodes alone.

    Raises:
        UsageError: arrays do not fit together, a class has too few examples, or a split too few classes.
    """
    found = ClassEpisodes(examples, labels, inputs=inputs, scale=scale)
    divided = None if split is None else given_split(split, "class")

    # Arrays are no options: a class holds them, so that its instances are made of options alone.
    class Given(ClassTask):
        episodes = found
        split = divided

        def __post_init__(self) -> None:
            super().__post_init__()
            _ = self._parts  # arrays are at hand: what is wrong with them is said at once

        @classmethod
        def example(cls) -> Self:
            return cls(**options)

    Given.name, Given.__doc__, Given.__qualname__ = name, ClassTask.__doc__, ClassTask.__qualname__
    return make(Given, options, f"task '{name}'")
