"""N-way K-shot episodes over labelled examples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.arrays.array_episodes import ArrayEpisodes
from mamlzoo.arrays.columns import Columns, coded
from mamlzoo.arrays.rows_by_class import Short, Variants
from mamlzoo.contracts.data import Batch, Episode
from mamlzoo.contracts.inputs import Inputs
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.contracts.ranges import Range
from mamlzoo.errors import UsageError

_Passage = Callable[[Any, Tensor, torch.Generator], Any]
"""From examples [n, *shape], of each the variant of its class [n], and a generator, to examples of the same shape."""


class ClassEpisodes(ArrayEpisodes):
    """N-way K-shot episodes over labelled examples, for a Task's `sample`.

        images = ClassEpisodes(x, y).split(valid=0.2, test=0.2)
        episodes = images["train"].draw(4, ways=5, shots=1, queries=15, generator=generator)

    An episode takes some of the classes, in random order, which numbers them, and different examples of each.

    Args:
        examples: an array [m, *shape], or a dict or a tuple of them: tensors, NumPy arrays, memory maps.
        labels: of each example its class, a number or a text, [m].
        groups: of each example its group, [m], where the classes of an episode must be of one, as characters of one
            alphabet. Groups are then what `split` and `only` are about. None: all examples are one.
        inputs: what an example is made of, as `Spec.inputs` says it; None: numbers of the arrays' shapes.
        scale: what numbers are divided by when they are drawn; None: 255 where they are of uint8, else 1.

    Attributes:
        inputs: what an example is made of.
        names: the classes, or the groups where there are some, that episodes are drawn of, in order.

    Raises:
        UsageError: labels and examples are not equally many, or it is not said what whole numbers mean.
    """

    def __init__(
        self,
        examples: Any,
        labels: Any,
        *,
        groups: Any = None,
        inputs: Inputs | None = None,
        scale: float | None = None,
    ) -> None:
        self._examples = Columns.of("examples", examples, inputs, scale)
        self.inputs = self._examples.inputs
        self._variants, self._passages = Variants(), tuple[_Passage, ...]()
        count = len(self._examples)
        self._labels, label = coded("labels", labels, count)
        if groups is None:
            self._hold("class", self._labels, label, np.zeros_like(label), [self._examples])
        else:
            names, group = coded("groups", groups, count)
            self._hold("group", names, label, group, [self._examples])

    def _title(self, at: int) -> str:
        group = f" of {super()._title(at)}" if self._unit == "group" else ""
        return f"class {shown(self._labels[int(self._rows.label[at])])}{group}"

    def with_variants(
        self, count: int, function: Callable[[Any, Tensor], Any], *, as_classes: bool = True
    ) -> ClassEpisodes:
        """Every class in several ways, as a character turned by no, one, two or three quarters.

        Args:
            count: how many ways.
            function: from examples [n, *shape], and of each in which way, [n] of 0 … count − 1, to examples of the same
                shape.
            as_classes: each way makes a class of its own, so that there are `count` times as many; else an episode has
                a class once, in a way drawn at random.
        """
        found = self._through(lambda x, way, generator: function(x, way))
        found._variants = Variants(count, as_classes)
        return found

    def transformed(self, function: Callable[[Any, torch.Generator], Any]) -> ClassEpisodes:
        """Examples pass through a function when they are drawn, behind those that they passed before.

        Args:
            function: from examples [n, *shape], and a generator from which all randomness comes, to examples of the
                same shape.
        """
        return self._through(lambda x, way, generator: function(x, generator))

    def _through(self, function: _Passage) -> ClassEpisodes:
        found = copy.copy(self)
        found._passages = (*self._passages, function)
        return found

    def check(self, *, ways: int, shots: int | Range, queries: int, short: Short = "refuse") -> None:
        """Refuse what no episode of this size can be drawn of, by name.

        Raises:
            UsageError: a class has too few examples, or there are too few classes.
        """
        self._rows.check("class", self._title, shots, queries, short)
        fewest = int(self._rows.classes.min()) * self._variants.of_class
        if fewest < ways:
            where = f" of {self._unit} {shown(self.names[int(self._rows.classes.argmin())])}"
            raise UsageError(
                f"an episode has ways = {ways} classes, and there {'is' if fewest == 1 else 'are'} "
                f"{fewest}{where if self._unit == 'group' else ''}; lower ways"
            )

    def draw(
        self,
        count: int,
        *,
        ways: int,
        shots: int | Range,
        queries: int,
        generator: torch.Generator,
        short: Short = "refuse",
        in_turn: bool = False,
    ) -> Episode:
        """Draw `count` episodes: [count, ways * shots, ...] and [count, ways * queries, ...], a class's together.

        Args:
            shots, queries: examples of each class. Of a range of shots each class draws its own number.
            generator: where all randomness comes from; the episodes are on its device.
            short: 'use' a class of fewer examples than shots and queries by what it has, shared among support and
                query in proportion, one in each at least; both sets have masks then. Or 'refuse' it.
            in_turn: groups come one after another, each as often as any other, and not at random.

        Raises:
            UsageError: a class has too few examples, there are too few classes, or a number is not finite.
        """
        self.check(ways=ways, shots=shots, queries=queries, short=short)
        drawn = self._rows.draw(
            count,
            ways=ways,
            shots=shots,
            queries=queries,
            generator=generator,
            short=short,
            in_turn=in_turn or self._unit == "class",
            variants=self._variants,
        )

        def batch(rows: Tensor, mask: Tensor | None) -> Batch:
            there = None if mask is None else mask.flatten(1)
            y = torch.arange(ways, device=generator.device)[None, :, None].expand(rows.shape).flatten(1)
            x = self._examples.pick(rows.flatten(1), generator.device, there)
            if self._passages:
                way = drawn.variant[..., None].expand(rows.shape).flatten(1)
                x = _passed(x, way, there, self._passages, generator)
            return Batch(x, y, there)

        return Episode(batch(drawn.support, drawn.support_mask), batch(drawn.query, drawn.query_mask))


def _passed(x: Any, way: Tensor, there: Tensor | None, passages: Sequence[_Passage], generator: torch.Generator) -> Any:
    """Examples [episodes, n, *shape] through functions; padding is zeros again."""
    size = way.shape
    x = trees.tree_map(lambda leaf: leaf.flatten(0, 1), x)
    for passage in passages:
        x = passage(x, way.flatten(), generator)

    def shaped(leaf: Tensor) -> Tensor:
        if there is not None:
            leaf = leaf.masked_fill(~there.reshape(-1, *[1] * (leaf.ndim - 1)), 0)
        return leaf.reshape(*size, *leaf.shape[1:])

    return trees.tree_map(shaped, x)
