"""Tensors that are not there yet: what each of their elements is computed from.

Of an expression every leaf is affine in the position: element (i₀, i₁, …) of a tensor is at `offset` + Σ strideₖ · iₖ
of a buffer. So whatever only looks at a tensor in another way (a transpose, a slice, an expansion) costs nothing: it
changes the strides of the leaves. An expression becomes a loop where somebody needs its numbers in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch


@dataclass(eq=False)
class Buffer:
    """Memory of a static size that is written once.

    Attributes:
        numel: how many numbers it holds.
        dtype: of each of them.
        place: the C text of its address; None until memory was planned for it.
        varies: whether it is another one for each task, and not for a meta-step only.
    """

    numel: int
    dtype: torch.dtype
    place: str | None = None
    varies: bool = False


@dataclass(frozen=True)
class Load:
    """A number of a buffer."""

    buffer: Buffer
    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Position:
    """`offset` + Σ strideₖ · iₖ itself, as `arange` gives it."""

    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Number:
    """The same everywhere."""

    value: float | int | bool
    dtype: torch.dtype


@dataclass(frozen=True)
class Apply:
    """A C expression of other numbers, which stand in it as {0}, {1}, …"""

    text: str
    operands: tuple[Element, ...]
    dtype: torch.dtype


Leaf = Load | Position | Number
Element = Leaf | Apply


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a tensor whose last axis is dense, and so on."""
    return tuple(math.prod(shape[at + 1 :]) for at in range(len(shape)))


@dataclass(frozen=True)
class Expression:
    """A tensor of a static shape, by what each of its elements is."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    element: Element

    @classmethod
    def of(
        cls, buffer: Buffer, shape: Sequence[int], strides: Sequence[int] | None = None, offset: int = 0
    ) -> Expression:
        """What lies in a buffer."""
        steps = row_major(shape) if strides is None else tuple(strides)
        return cls(tuple(shape), buffer.dtype, Load(buffer, offset, steps))

    @property
    def numel(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def loads(self) -> list[Load]:
        """The leaves that lie in memory."""
        return [leaf for leaf in leaves(self.element) if isinstance(leaf, Load)]

    def seen(
        self, shape: Sequence[int], strides: Callable[[tuple[int, ...]], tuple[int, tuple[int, ...]]]
    ) -> Expression:
        """The same numbers in another shape.

        Args:
            strides: of a leaf's strides, what is added to its offset and the strides by the new axes.
        """

        def look(element: Element) -> Element:
            if isinstance(element, Apply):
                return replace(element, operands=tuple(map(look, element.operands)))
            if isinstance(element, Number):
                return element
            more, new = strides(element.strides)
            return replace(element, offset=element.offset + more, strides=new)

        return Expression(tuple(shape), self.dtype, look(self.element))

    def expanded(self, shape: Sequence[int]) -> Expression:
        """As torch broadcasts it."""
        if tuple(shape) == self.shape:
            return self
        lead = len(shape) - len(self.shape)
        kept = [at - lead if at >= lead and self.shape[at - lead] == shape[at] else None for at in range(len(shape))]
        return self.seen(shape, lambda old: (0, tuple(0 if at is None else old[at] for at in kept)))

    def permuted(self, order: Sequence[int]) -> Expression:
        """With its axes in another order."""
        return self.seen([self.shape[at] for at in order], lambda old: (0, tuple(old[at] for at in order)))

    def reshaped(self, shape: Sequence[int]) -> Expression | None:
        """In another shape, or None where some leaf would not be affine then."""
        try:
            return self.seen(shape, lambda old: (0, _reshaped(self.shape, old, shape)))
        except _NotAffineError:
            return None


class _NotAffineError(Exception):
    pass


def _reshaped(old: Sequence[int], strides: Sequence[int], new: Sequence[int]) -> tuple[int, ...]:
    """The strides of `old` seen as `new`: axes are split, and joined where one goes on where the other ends."""
    if 0 in old:
        return (0,) * len(new)
    found, at, left = [0] * len(new), len(new) - 1, 1
    runs: list[tuple[int, int]] = []  # (numbers, stride) of axes that can be taken as one, the last first
    for size, stride in zip(reversed(old), reversed(strides), strict=True):
        if size == 1:
            continue
        if runs and stride == runs[-1][0] * runs[-1][1]:
            runs[-1] = (runs[-1][0] * size, runs[-1][1])
        else:
            runs.append((size, stride))
    for numbers, stride in runs:
        left, step = numbers, stride
        while left > 1:
            if at < 0 or (new[at] > 1 and left % new[at]):
                raise _NotAffineError
            if new[at] > 1:
                found[at], step, left = step, step * new[at], left // new[at]
            at -= 1
    return tuple(found)


def leaves(element: Element) -> Iterator[Leaf]:
    """The leaves of an element, from left to right."""
    if isinstance(element, Apply):
        for operand in element.operands:
            yield from leaves(operand)
    else:
        yield element


def work(element: Element) -> int:
    """How many operations an element takes, as it is written: operands that stand there twice count twice."""
    if not isinstance(element, Apply):
        return 0
    return 1 + sum(
        max(1, element.text.count(f"{{{at}}}")) * work(operand) for at, operand in enumerate(element.operands)
    )


def merged(shape: Sequence[int], *ways: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """Axes that all of these strides pass through as through one, joined; those of one element left out.

    Returns:
        the sizes, and for each of the ways its strides.
    """
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in ways]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        if sizes and all(own[-1] == way[axis] * size for own, way in zip(steps, ways, strict=True)):
            sizes[-1] *= size
            for own, way in zip(steps, ways, strict=True):
                own[-1] = way[axis]
        else:
            sizes.append(size)
            for own, way in zip(steps, ways, strict=True):
                own.append(way[axis])
    return sizes, steps
