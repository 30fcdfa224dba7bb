"""Loops over the axes of tensors, and the C++ of the numbers in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mamlzoo.engine.native.expressions import Apply, Element, Load, Number, leaves, merged

C_TYPES = {
    torch.float32: "float",
    torch.float64: "double",
    torch.int64: "long",
    torch.int32: "int",
    torch.bool: "unsigned char",
    torch.uint8: "unsigned char",
}


IVDEP = '_Pragma("GCC ivdep") '
"""Its iterations are independent of each other, which the compiler need not find out."""


@dataclass
class Nest:
    """Loops over the axes of some elements, the one last in which most of them are dense."""

    sizes: list[int]
    names: list[str]
    strides: list[list[int]]
    elements: list[Element]

    @classmethod
    def of(cls, shape: Sequence[int], elements: Sequence[Element], name: str = "i") -> Nest:
        ways = [leaf.strides for element in elements for leaf in leaves(element) if not isinstance(leaf, Number)]
        order = _order(shape, ways)
        sizes, strides = merged([shape[at] for at in order], *([way[at] for at in order] for way in ways))
        return cls(sizes, [f"{name}{at}" for at in range(len(sizes))], strides, list(elements))

    @property
    def terms(self) -> list[str]:
        """Of each leaf the C text of Σ strideₖ · iₖ."""
        return [
            " + ".join(
                name if step == 1 else f"{step} * {name}" for name, step in zip(self.names, own, strict=True) if step
            )
            for own in self.strides
        ]

    @property
    def texts(self) -> list[str]:
        """The C text of each element."""
        return self.texts_of(self.elements, self.terms)

    @staticmethod
    def texts_of(elements: Sequence[Element], terms: Sequence[str]) -> list[str]:
        rest, found = list(terms), []
        for element in elements:
            count = sum(not isinstance(leaf, Number) for leaf in leaves(element))
            found.append(with_terms(element, rest[:count]))
            rest = rest[count:]
        return found

    def around(self, body: str, *, upto: int | None = None, plain: bool = False, some_of: int | None = None) -> str:
        """A statement in these loops.

        Args:
            upto: how many of them; None: all.
            plain: whether the last one's iterations may depend on each other.
            some_of: the loop that goes from `first` to `last` only.
        """
        count = len(self.sizes) if upto is None else upto
        ends = [("first", "last") if at == some_of else ("0", str(size)) for at, size in enumerate(self.sizes)]
        heads = [
            f"for (long {name} = {first}; {name} < {last}; ++{name})"
            for name, (first, last) in zip(self.names, ends, strict=True)
        ]
        text = f"{{ {body} }}" if body.count(";") > 1 else body
        for at in reversed(range(count)):
            hint = IVDEP if at == len(self.sizes) - 1 and not plain else ""
            text = f"{hint}{heads[at]}\n{text}"
        return text


def parts(element: Element, first: int, last: int) -> list[Element]:
    """The leaves of an element that are not the same everywhere, by some of its axes alone."""
    return [
        type(leaf)(**{**vars(leaf), "strides": leaf.strides[first:last]})
        for leaf in leaves(element)
        if not isinstance(leaf, Number)
    ]


def joined(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """Of each leaf the sums of both."""
    return [" + ".join(filter(None, pair)) for pair in zip(one, other, strict=True)]


def with_terms(element: Element, terms: Sequence[str]) -> str:
    """The C text of an element whose leaves are at these places."""
    rest = iter(terms)

    def text(part: Element) -> str:
        if isinstance(part, Number):
            return literal(part)
        if isinstance(part, Apply):
            return part.text.format(*map(text, part.operands))
        where = " + ".join(filter(None, [str(part.offset) if part.offset else "", next(rest)])) or "0"
        return f"{part.buffer.place}[{where}]" if isinstance(part, Load) else f"({where})"

    return text(element)


def literal(number: Number) -> str:
    """A number in C."""
    value = number.value
    if not number.dtype.is_floating_point:
        return f"{int(value)}L"
    value, ending = float(value), "f" if number.dtype == torch.float32 else ""
    if math.isnan(value):
        return f'__builtin_nan{ending}("")'
    if math.isinf(value):
        return f"{'-' if value < 0 else ''}__builtin_inf{ending}()"
    return f"({value!r}{ending})"


def ease(strides: Sequence[Sequence[int]]) -> int:
    """How easily a loop over the last axis reads these leaves: dense ones count for it, scattered ones against it."""
    steps = [own[-1] for own in strides if own]
    return sum(step == 1 for step in steps) - 2 * sum(step not in (0, 1) for step in steps)


def _order(shape: Sequence[int], ways: Sequence[Sequence[int]]) -> list[int]:
    """The axes, those last in whose direction most leaves are dense."""

    def density(axis: int) -> tuple[int, int]:
        own = [abs(way[axis]) for way in ways if way[axis]]
        return -sum(step == 1 for step in own), sum(own)

    return sorted(range(len(shape)), key=density, reverse=True)
