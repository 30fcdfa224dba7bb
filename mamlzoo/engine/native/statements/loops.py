"""Statements that compute each element once and store it, or fold it into fewer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mamlzoo.engine.native.expressions import Buffer, Expression, Load, work
from mamlzoo.engine.native.statements.nests import C_TYPES, IVDEP, Nest, ease, joined, parts, with_terms
from mamlzoo.engine.native.statements.transpositions import transposition

ON_STACK = 4096
"""Numbers that a loop may keep beside what it writes."""
MANY, A_PART = 2048, 256
"""Numbers from which on a fold is one of parts, and how many are a part."""


class Statement(ABC):
    """A piece of C++ that reads buffers and writes one."""

    target: Expression

    @property
    @abstractmethod
    def reads(self) -> list[Buffer]:
        """What must be there before."""

    @property
    def writes(self) -> Buffer:
        """What is there afterwards."""
        assert isinstance(self.target.element, Load)
        return self.target.element.buffer

    @property
    @abstractmethod
    def work(self) -> int:
        """How many operations it takes, about."""

    @abstractmethod
    def code(self) -> str:
        """The C++ text."""


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
        if not self.adds and (copied := transposition(self.target, self.source)):
            return copied
        nest = Nest.of(self.target.shape, [self.target.element, self.source.element])
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
        nest = Nest.of(self.target.shape, [each.element for each in (self.target, *self.indices, self.source)])
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
        outer = Nest.of(kept, [own, *parts(source, 0, keeps)], "i")
        inner = Nest.of(folded, parts(source, keeps, len(self.source.shape)), "r")
        ctype = C_TYPES[self.target.dtype]
        terms = with_terms(source, joined(outer.terms[1:], inner.terms))
        target = outer.texts_of([own], outer.terms[:1])[0]
        if outer.sizes and ease(outer.strides[1:]) > ease(inner.strides):
            size, at = outer.sizes[-1], outer.names[-1]
            row = f"for (long {at} = 0; {at} < {size}; ++{at})"
            here = f"kept[{at}]" if size <= ON_STACK else target
            body = (f"{ctype} kept[{size}];\n" if size <= ON_STACK else "") + f"{IVDEP}{row} {here} = {self.start};\n"
            if size <= ON_STACK and (whole := _in_parts(inner)):
                body += whole(
                    f"{ctype} part[{size}];\n{IVDEP}{row} part[{at}] = {self.start};\n",
                    f"{IVDEP}{row} part[{at}] = {self.step.format(f'part[{at}]', terms)};",
                    f"{IVDEP}{row} {here} = {self.step.format(here, f'part[{at}]')};",
                )
            else:
                body += inner.around(f"{IVDEP}{row} {here} = {self.step.format(here, terms)};", plain=True)
            body += f"\n{IVDEP}{row} {target} = {self.end.format(here)};"
            return outer.around(body, upto=len(outer.sizes) - 1)
        body = f"{ctype} kept = {self.start};\n"
        if whole := _in_parts(inner):
            body += whole(
                f"{ctype} part = {self.start};\n",
                f"part = {self.step.format('part', terms)};",
                f"kept = {self.step.format('kept', 'part')};",
            )
        else:
            body += inner.around(f"kept = {self.step.format('kept', terms)};")
        body += f"\n{target} = {self.end.format('kept')};"
        return outer.around(body, plain=True)


def _in_parts(inner: Nest) -> Callable[[str, str, str], str] | None:
    """Loops around (what begins a part, what folds an element into it, what folds it into the whole); None: too few.

    In float32 a sum loses a digit for every ten thousand numbers that are added one by one; sums of parts do not.
    """
    count = math.prod(inner.sizes)
    if count <= MANY:
        return None
    longest = max(range(len(inner.sizes)), key=inner.sizes.__getitem__)
    size = inner.sizes[longest]
    step = max(1, A_PART * size // count)

    def whole(begin: str, fold: str, end: str) -> str:
        return (
            f"for (long first = 0; first < {size}; first += {step}) {{\n"
            f"const long last = first + {step} < {size} ? first + {step} : {size};\n"
            f"{begin}{inner.around(fold, plain=True, some_of=longest)}\n{end}\n}}"
        )

    return whole
