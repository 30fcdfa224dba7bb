"""From expressions to C: loops that compute each element once and store it, or fold it into fewer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mamlzoo.engine.native.expressions import Apply, Buffer, Element, Expression, Load, Number, leaves, merged, work

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


class Statement:
    """A piece of C that reads buffers and writes one."""

    target: Expression

    @property
    def reads(self) -> list[Buffer]:
        """What must be there before."""
        raise NotImplementedError

    @property
    def writes(self) -> Buffer:
        """What is there afterwards."""
        assert isinstance(self.target.element, Load)
        return self.target.element.buffer

    @property
    def work(self) -> int:
        """How many operations it takes, about."""
        raise NotImplementedError

    def code(self) -> str:
        """The C text."""
        raise NotImplementedError


@dataclass(eq=False)
class Store(Statement):
    """Each element of an expression, to its place in memory; added to what is there where `adds`."""

    target: Expression
    source: Expression
    adds: bool = False

    @property
    def reads(self) -> list[Buffer]:
        return [load.buffer for load in self.source.loads] + ([self.writes] if self.adds else [])

    @property
    def work(self) -> int:
        return self.source.numel * (1 + work(self.source.element))

    def code(self) -> str:
        nest = _Nest.of(self.target.shape, [self.target.element, self.source.element])
        target, source = nest.texts
        return nest.around(f"{target} {'+=' if self.adds else '='} {source};")


@dataclass(eq=False)
class Scatter(Statement):
    """Elements of an expression to places in memory that indices tell.

    Attributes:
        target: where index 0 is.
        inside: the C text of whether the indices {1}, {2}, … are within what is there.
        place: the C text of the place that they tell, {0} being that of index 0.
    """

    target: Expression
    inside: str
    place: str
    indices: Sequence[Expression]
    source: Expression
    adds: bool

    @property
    def reads(self) -> list[Buffer]:
        return [self.writes, *(load.buffer for value in (self.source, *self.indices) for load in value.loads)]

    @property
    def work(self) -> int:
        return self.source.numel * (4 + work(self.source.element))

    def code(self) -> str:
        nest = _Nest.of(self.target.shape, [each.element for each in (self.target, *self.indices, self.source)])
        *spots, source = nest.texts
        change = f"{self.place.format(*spots)} {'+=' if self.adds else '='} {source};"
        return nest.around(f"if ({self.inside.format(*spots)}) {change}", plain=True)


@dataclass(eq=False)
class Fold(Statement):
    """The elements of an expression over some of its axes as one: their sum, their largest, …

    Attributes:
        target: of the axes that are kept.
        source: all axes, those that are folded last.
        start: the C text of what nothing is folded to.
        step: the C text that folds {1} into {0}.
        end: the C text that makes the result of {0}.
    """

    target: Expression
    source: Expression
    start: str
    step: str
    end: str = "{0}"

    @property
    def reads(self) -> list[Buffer]:
        return [load.buffer for load in self.source.loads]

    @property
    def work(self) -> int:
        return self.source.numel * (1 + work(self.source.element))

    def code(self) -> str:
        keeps = len(self.target.shape)
        kept, folded = self.source.shape[:keeps], self.source.shape[keeps:]
        own, source = self.target.element, self.source.element
        outer = _Nest.of(kept, [own, *_parts(source, 0, keeps)], "i")
        inner = _Nest.of(folded, _parts(source, keeps, len(self.source.shape)), "r")
        ctype = C_TYPES[self.target.dtype]
        terms = _with_terms(source, _joined(outer.terms[1:], inner.terms))
        target = outer.texts_of([own], outer.terms[:1])[0]
        if outer.sizes and _ease(outer.strides[1:]) > _ease(inner.strides):
            *outside, last = range(len(outer.sizes))
            size, at = outer.sizes[last], outer.names[last]
            row = f"for (long {at} = 0; {at} < {size}; ++{at})"
            body = (
                f"{ctype} kept[{size}];\n{row} kept[{at}] = {self.start};\n"
                + inner.around(f"{IVDEP}{row} kept[{at}] = {self.step.format(f'kept[{at}]', terms)};", plain=True)
                + f"\n{IVDEP}{row} {target} = {self.end.format(f'kept[{at}]')};"
            )
            return outer.around(body, upto=len(outside))
        body = (
            f"{ctype} kept = {self.start};\n"
            + inner.around(f"kept = {self.step.format('kept', terms)};")
            + f"\n{target} = {self.end.format('kept')};"
        )
        return outer.around(body, plain=True)


@dataclass
class _Nest:
    """Loops over the axes of some elements, the one last in which most of them are dense."""

    sizes: list[int]
    names: list[str]
    strides: list[list[int]]
    elements: list[Element]

    @classmethod
    def of(cls, shape: Sequence[int], elements: Sequence[Element], name: str = "i") -> _Nest:
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
            found.append(_with_terms(element, rest[:count]))
            rest = rest[count:]
        return found

    def around(self, body: str, *, upto: int | None = None, plain: bool = False) -> str:
        """A statement in these loops."""
        count = len(self.sizes) if upto is None else upto
        heads = [
            f"for (long {name} = 0; {name} < {size}; ++{name})"
            for name, size in zip(self.names, self.sizes, strict=True)
        ]
        text = f"{{ {body} }}" if body.count(";") > 1 else body
        for at in reversed(range(count)):
            hint = IVDEP if at == len(self.sizes) - 1 and not plain else ""
            text = f"{hint}{heads[at]}\n{text}"
        return text


def _parts(element: Element, first: int, last: int) -> list[Element]:
    """The leaves of an element that are not the same everywhere, by some of its axes alone."""
    return [
        type(leaf)(**{**vars(leaf), "strides": leaf.strides[first:last]})
        for leaf in leaves(element)
        if not isinstance(leaf, Number)
    ]


def _joined(one: Sequence[str], other: Sequence[str]) -> list[str]:
    return [" + ".join(filter(None, pair)) for pair in zip(one, other, strict=True)]


def _with_terms(element: Element, terms: Sequence[str]) -> str:
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
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int) and not number.dtype.is_floating_point:
        return f"{value}L"
    value, ending = float(value), "f" if number.dtype == torch.float32 else ""
    if math.isnan(value):
        return f'__builtin_nan{ending}("")'
    if math.isinf(value):
        return f"{'-' if value < 0 else ''}__builtin_inf{ending}()"
    return f"({value!r}{ending})"


def _ease(strides: Sequence[Sequence[int]]) -> int:
    """How easily a loop over the last axis reads these leaves: dense ones count for it, scattered ones against it."""
    steps = [own[-1] for own in strides if own]
    return sum(step == 1 for step in steps) - 2 * sum(step not in (0, 1) for step in steps)


def _order(shape: Sequence[int], ways: Sequence[Sequence[int]]) -> list[int]:
    """The axes, those last in whose direction most leaves are dense."""

    def density(axis: int) -> tuple[int, int]:
        own = [abs(way[axis]) for way in ways if way[axis]]
        return -sum(step == 1 for step in own), sum(own)

    return sorted(range(len(shape)), key=density, reverse=True)
