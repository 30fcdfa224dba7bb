"""Episodes of the rows of a group, as a patient, a sensor or a trial."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mamlzoo.arrays.array_episodes import ArrayEpisodes
from mamlzoo.arrays.columns import Columns, as_array, coded
from mamlzoo.arrays.rows_by_class import Short
from mamlzoo.contracts.data import Batch, Episode
from mamlzoo.contracts.inputs import Input, Inputs
from mamlzoo.contracts.ranges import Range
from mamlzoo.errors import UsageError

Kind = Literal["regression", "classification"]


class GroupEpisodes(ArrayEpisodes):
    """Episodes of rows of a group, for a Task's `sample`: what holds of a patient, a sensor, a trial.

        trials = GroupEpisodes(x, y, trial).split(valid=0.2, test=0.2)
        episodes = trials["train"].draw(4, shots=5, queries=10, generator=generator)

    Args:
        x: inputs, an array [m, *shape], or a dict or a tuple of them: tensors, NumPy arrays, memory maps.
        y: targets [m] or [m, targets]; of a classification [m], whole numbers from 0 that mean the same in each group.
        groups: of each example its group, a number or a text, [m].
        kind: what y is, as in a Spec.
        inputs: what an input is made of, as `Spec.inputs` says it; None: numbers of the arrays' shapes.
        scale: what inputs are divided by when they are drawn; None: 255 where they are of uint8, else 1.

    Attributes:
        inputs: what an input is made of.
        kind: what y is.
        output_size: how many numbers a target is, or how many classes there are.
        names: the groups that episodes are drawn of, in order.

    Raises:
        UsageError: the arrays are not equally long, or it is not said what whole numbers mean.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        groups: Any,
        *,
        kind: Kind = "regression",
        inputs: Inputs | None = None,
        scale: float | None = None,
    ) -> None:
        self._x = Columns.of("x", x, inputs, scale)
        self.inputs, self.kind = self._x.inputs, kind
        self._y, self.output_size = _targets(y, len(self._x), kind)
        names, group = coded("groups", groups, len(self._x))
        self._hold("group", names, np.zeros_like(group), group, [self._x, self._y])

    def check(self, *, shots: int | Range, queries: int, short: Short = "refuse") -> None:
        """Refuse what no episode of this size can be drawn of, by name.

        Raises:
            UsageError: a group has too few rows.
        """
        self._rows.check("group", self._title, shots, queries, short)

    def draw(
        self,
        count: int,
        *,
        shots: int | Range,
        queries: int,
        generator: torch.Generator,
        short: Short = "refuse",
        in_turn: bool = False,
    ) -> Episode:
        """Draw `count` episodes, each of different rows of one group: [count, shots, ...] and [count, queries, ...].

        Args:
            shots, queries: rows of an episode. Of a range of shots each episode draws its own number.
            generator: where all randomness comes from; the episodes are on its device.
            short: 'use' a group of fewer rows than shots and queries by what it has, shared among support and query in
                proportion, one in each at least; both sets have masks then. Or 'refuse' it.
            in_turn: groups come one after another, and not at random: of as many episodes as there are groups each has
                its own, for a `Spec.test_episodes` of that number.

        Raises:
            UsageError: a group has too few rows, or a number is not finite.
        """
        self.check(shots=shots, queries=queries, short=short)
        drawn = self._rows.draw(
            count, ways=1, shots=shots, queries=queries, generator=generator, short=short, in_turn=in_turn
        )

        def batch(rows: Tensor, mask: Tensor | None) -> Batch:
            rows, there = rows.flatten(1), None if mask is None else mask.flatten(1)
            x, y = (columns.pick(rows, generator.device, there) for columns in (self._x, self._y))
            return Batch(x, y[..., None] if y.ndim == 2 and self.kind == "regression" else y, there)

        return Episode(batch(drawn.support, drawn.support_mask), batch(drawn.query, drawn.query_mask))


def _targets(y: Any, count: int, kind: Kind) -> tuple[Columns, int]:
    """The targets, and how many numbers each is, or how many classes there are."""
    array = as_array(y)
    if not array.shape:
        raise UsageError(f"y must be targets of {count} examples, [m] or [m, targets], not a single one")
    shape = tuple(array.shape[1:])
    if len(array) != count:
        raise UsageError(f"y of {len(array)} targets beside x of {count} examples; they must be equally many")
    if kind == "regression":
        if len(shape) > 1:
            raise UsageError(f"y of shape {list(array.shape)} must be targets, [m] or [m, targets]")
        return Columns.of("y", array, Input(shape), scale=1.0), shape[0] if shape else 1
    whole = not array.dtype.is_floating_point if isinstance(array, Tensor) else np.dtype(array.dtype).kind in "iu"
    least, most = (int(end) for end in (array.min(), array.max())) if whole and count else (-1, -1)
    if shape or least < 0:
        raise UsageError(
            f"y of shape {list(array.shape)}, {str(array.dtype).removeprefix('torch.')}, must be class numbers from 0, "
            "[m] of whole numbers"
        )
    return Columns.of("y", array, Input((), "integer")), max(2, most + 1)
