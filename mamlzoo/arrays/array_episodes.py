"""What episodes over arrays have in common, whatever they take: a part of the classes or groups, and splits of them."""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo import tables
from mamlzoo.arrays.columns import Columns
from mamlzoo.arrays.rows_by_class import NAMED, RowsByClass
from mamlzoo.arrays.splits import as_names, divided
from mamlzoo.contracts.data import Split
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.errors import UsageError


class ArrayEpisodes:
    """What `ClassEpisodes` and `GroupEpisodes` share: episodes whose examples are rows of arrays.

    The arrays are never copied; only the rows that are drawn are read.
    """

    def _hold(
        self,
        unit: str,
        names: Sequence[Any],
        labels: NDArray[np.int64],
        groups: NDArray[np.int64],
        arrays: Sequence[Columns],
    ) -> None:
        """Begin.

        Args:
            unit: what is divided among the splits, 'class' or 'group'.
            names: what each of them is called, by its number.
            labels, groups: the numbers of the class and the group of each row.
            arrays: what the rows are of.
        """
        self._unit, self._names, self._arrays = unit, names, arrays
        self._codes = (labels, groups)
        self._rows = RowsByClass.of(labels, groups)

    @property
    def _units(self) -> Tensor:
        """Of each class in `_rows` the number of what is divided: its own, or its group's."""
        return self._rows.label if self._unit == "class" else self._rows.group

    @property
    def names(self) -> list[Any]:
        """The classes, or the groups where there are some, that episodes are drawn of, in order."""
        return [self._names[at] for at in self._units.unique().tolist()]

    def only(self, names: Iterable[Any]) -> Self:
        """Episodes of some of the classes or groups alone, over the same arrays.

        Raises:
            UsageError: there is none of that name.
        """
        number = {self._names[at]: at for at in self._units.unique().tolist()}
        wanted = as_names(names)
        if not wanted:
            raise UsageError(f"there is no {self._unit} to draw episodes of")
        for name in wanted:
            if name not in number:
                there = tables.some(map(shown, number), NAMED)
                raise UsageError(f"no example is of {self._unit} {shown(name)}; there are: {there}")
        kept = {number[name] for name in wanted}
        part = copy.copy(self)
        part._rows = self._rows.only(torch.tensor([at in kept for at in self._units.tolist()]))
        return part

    def split(self, *, valid: float = 0.2, test: float = 0.2, seed: int = 0, least: int = 1) -> dict[Split, Self]:
        """Divided at random, so that no class or group is in two splits.

        Args:
            valid, test: fractions of the classes or groups to validate and to test on; the rest is to train on.
            seed: which division; the order of the examples has no say in it.
            least: how many each split must have, as the ways of an episode.

        Raises:
            UsageError: too few are left to train on.
        """
        parts = divided(self.names, self._unit, valid=valid, test=test, seed=seed, least=least)
        return {split: self.only(names) for split, names in parts.items()}

    def _title(self, at: int) -> str:
        """Of the class at a position in `_rows`, as a message names it."""
        return f"{self._unit} {shown(self._names[int(self._units[at])])}"

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of what the arrays hold, wherever they lie, and of which example is of what."""
        digest = hashlib.sha256(f"{self._unit} {self._names!a}\n".encode())
        for codes in self._codes:
            digest.update(codes.tobytes())
        for columns in self._arrays:
            columns.digest(digest)
        return digest.hexdigest()
