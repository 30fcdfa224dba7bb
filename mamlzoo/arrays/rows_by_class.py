"""Which rows of an array an episode has: those of a few classes, or of a group, divided into support and query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo import tables
from mamlzoo.arrays.distinct import distinct
from mamlzoo.contracts.ranges import Range, sizes
from mamlzoo.errors import UsageError

Short = Literal["refuse", "use"]
"""What is done with a class or a group of fewer rows than shots and queries."""
NAMED = 4
"""At most so many of several classes are named in a message."""


class Drawn(NamedTuple):
    """The rows of episodes.

    Attributes:
        support, query: numbers of rows, [episodes, classes, rows], on the processor.
        support_mask, query_mask: which of them are there, of the same shape, on the generator's device; None: all.
        variant: of each class which of its variants it is, [episodes, classes], on the generator's device.
    """

    support: Tensor
    query: Tensor
    support_mask: Tensor | None
    query_mask: Tensor | None
    variant: Tensor


@dataclass(frozen=True)
class Variants:
    """In how many ways a class may look.

    Attributes:
        count: how many ways there are, in all of which every class has the same examples.
        as_classes: whether each is a class of its own; else an episode has a class once, in a way drawn at random.
    """

    count: int = 1
    as_classes: bool = True

    @property
    def of_class(self) -> int:
        """How many classes one makes."""
        return self.count if self.as_classes else 1


AS_IT_IS = Variants()
"""A class looks in one way alone."""


@dataclass(frozen=True, eq=False)
class RowsByClass:
    """The rows of each class, and the classes of each group.

    Attributes:
        order: the numbers of the rows, those of a class together.
        label, group: of each class its own number, and that of its group, which does not decrease.
        first_row, rows: of each class where in `order` its rows begin, and how many they are.
        first_class, classes: of each group where its classes begin, and how many they are.
    """

    order: Tensor
    label: Tensor
    group: Tensor
    first_row: Tensor
    rows: Tensor
    first_class: Tensor
    classes: Tensor

    @classmethod
    def of(cls, labels: NDArray[np.int64], groups: NDArray[np.int64]) -> RowsByClass:
        """From the class and the group of each row."""
        order = np.lexsort((labels, groups))  # which keeps the rows of a class in their order
        label, group = labels[order], groups[order]
        is_first = np.append(True, (label[1:] != label[:-1]) | (group[1:] != group[:-1]))
        first_row = np.flatnonzero(is_first)
        rows = np.diff(np.append(first_row, len(order)))
        numbered = torch.from_numpy(group[first_row])
        return cls(
            torch.from_numpy(order),
            torch.from_numpy(label[first_row]),
            numbered,
            torch.from_numpy(first_row),
            torch.from_numpy(rows),
            *_begun(numbered),
        )

    def only(self, kept: Tensor) -> RowsByClass:
        """Those of some classes: kept [classes] of bool."""
        label, group, first_row, rows = (part[kept] for part in (self.label, self.group, self.first_row, self.rows))
        return RowsByClass(self.order, label, group, first_row, rows, *_begun(group))

    def check(self, what: str, title: Callable[[int], str], shots: int | Range, queries: int, short: Short) -> None:
        """Refuse, by name, what has too few rows for an episode.

        Args:
            what: 'class' or 'group'.
            title: what the class at a position is called, as in "class 'cat'".

        Raises:
            UsageError: there are such.
        """
        fewest_shots = shots.least if isinstance(shots, Range) else shots
        if fewest_shots < 1 or queries < 1:
            raise UsageError(f"shots and queries must be at least 1, not {fewest_shots} and {queries}")
        needed = _most(shots) + queries if short == "refuse" else 2
        few = (self.rows < needed).nonzero().flatten().tolist()
        if not few:
            return
        fewest = sorted(few, key=lambda at: int(self.rows[at]))[:NAMED]
        named = ", ".join(f"{title(at)} ({int(self.rows[at])})" for at in fewest)
        more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        wanted = f"shots + queries = {needed}" if short == "refuse" else "2, one to adapt to and one to judge by,"
        use = "lower shots or queries, leave them out, or set short to 'use', which takes what they have"
        raise UsageError(
            f"{len(few)} of {tables.count(len(self.rows), what)} {'has' if len(few) == 1 else 'have'} fewer than "
            f"{wanted} examples: {named}{more}; {use if short == 'refuse' else 'leave them out'}"
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
        variants: Variants = AS_IT_IS,
    ) -> Drawn:
        """Rows of `count` episodes, each of one group and `ways` of its classes in random order, none of them twice.

        With a range of shots each class draws its own number.

        Args:
            short: 'use': a class of fewer rows than shots and queries shares them among support and query in
                proportion, and the sets have masks. 'refuse': there is no such class.
            in_turn: groups come one after another, and not at random.
            variants: in which a class may be drawn.
        """
        first_class, classes, first_row, rows = (
            part.to(generator.device) for part in (self.first_class, self.classes, self.first_row, self.rows)
        )
        if in_turn:
            group = torch.arange(count, device=generator.device) % len(classes)
        else:
            group = torch.randint(len(classes), (count,), generator=generator, device=generator.device)
        of_class = variants.of_class
        drawn = distinct(classes[group] * of_class, ways, generator)
        chosen, variant = first_class[group, None] + drawn // of_class, drawn % of_class
        if variants.count > of_class:
            variant = torch.randint(variants.count, drawn.shape, generator=generator, device=generator.device)
        length, mask = sizes(shots, tuple(chosen.shape), generator)
        row = distinct(rows[chosen].flatten(), length + queries, generator).unflatten(0, chosen.shape)
        query_mask = None
        if short == "use":
            wanted = torch.full_like(chosen, length) if mask is None else mask.sum(-1)
            held = rows[chosen]
            of_support, of_query = shared(held, wanted, queries)
            # Where there are too few for the longest support set, the queries come right behind the shots.
            begin = torch.where(held >= length + queries, length, of_support)[..., None]
            at = torch.arange(length + queries, device=row.device).expand(row.shape)
            row = row.gather(-1, torch.where(at < length, at, begin + at - length))
            mask = at[..., :length] < of_support[..., None]
            query_mask = at[..., :queries] < of_query[..., None]
        found = self.order[(first_row[chosen][..., None] + row).cpu()]
        return Drawn(found[..., :length], found[..., length:], mask, query_mask, variant)


def shared(held: Tensor, shots: Tensor, queries: int) -> tuple[Tensor, Tensor]:
    """How many of the rows that a class has, two at least, are shots and how many queries.

    As many as are wanted; of fewer rows a part in proportion, rounded down for the shots, and one of each at least.
    """
    part = (held * shots // (shots + queries)).clamp(min=1)
    of_support = torch.where(held >= shots + queries, shots, part)
    return of_support, (held - of_support).clamp(max=queries)


def _most(shots: int | Range) -> int:
    return shots.most if isinstance(shots, Range) else shots


def _begun(group: Tensor) -> tuple[Tensor, Tensor]:
    """Where each group's classes begin, and how many they are."""
    _, classes = group.unique_consecutive(return_counts=True)
    return classes.cumsum(0) - classes, classes
