"""What writes a program: values, where they lie, and the statements that compute them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.fx import Node

from mamlzoo.engine.compilation.program_cache import CannotCompileError
from mamlzoo.engine.native.expressions import (
    Apply,
    Buffer,
    Element,
    Expression,
    Load,
    Number,
    leaves,
    row_major,
    work,
)
from mamlzoo.engine.native.statements.loops import Fold, Statement, Store
from mamlzoo.engine.native.statements.nests import C_TYPES
from mamlzoo.engine.native.statements.products import Product

LARGEST = 24
"""Operations of one element; what is more is computed in two loops."""
Value = Expression | tuple[Expression, ...]
Operation = Callable[..., Value]
"""(writer, node, *its arguments, **its keywords) -> what the node is."""


class UncoveredError(CannotCompileError):
    """A graph holds what is not written here; another compiler may know it."""


class Folding(NamedTuple):
    """How many elements become one: the C text of what nothing is, of {1} folded into {0}, and of the result {0}."""

    start: str
    step: str
    end: str = "{0}"


SUM = Folding("0", "{0} + {1}")


def mean_of(count: float) -> Folding:
    """The sum of elements, divided by a number."""
    return Folding(*SUM[:2], f"{{0}} / {count}")


class Writer:
    """Writes statements.

    Attributes:
        statements: in an order in which they can run.
        values: what the nodes of the graph are, so far.
    """

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.values: dict[Node, Value] = {}
        self._dense: dict[tuple[Load, tuple[int, ...]], Expression] = {}

    def add(self, statement: Statement) -> None:
        """Another statement; what it writes is another one for each task where something is that it reads."""
        statement.writes.varies |= any(buffer.varies for buffer in statement.reads)
        self.statements.append(statement)

    def value(self, node: Any) -> Expression:
        """What a node is."""
        value = self.values[node]
        assert isinstance(value, Expression)
        return value

    def of(self, argument: Any, dtype: torch.dtype, shape: Sequence[int] | None = None) -> Expression:
        """An argument of a node, a tensor or a number, as an expression of that dtype and shape."""
        if isinstance(argument, Node):
            value = self.value(argument)
        elif isinstance(argument, (bool, int, float)):
            value = Expression((), dtype, Number(argument, dtype))
        else:
            raise UncoveredError(f"an argument {argument!r}")
        value = cast(value, dtype)
        return value if shape is None else self.spread(value, shape)

    def spread(self, value: Expression, shape: Sequence[int]) -> Expression:
        """A value as torch broadcasts it; what it is computed from is computed once, before."""
        if math.prod(shape) > value.numel and isinstance(value.element, Apply):
            value = self.stored(value)
        return value.expanded(shape)

    def settled(self, value: Value, uses: int) -> Value:
        """A value, in memory where several would compute it again, or where it is a single number."""
        if not isinstance(value, Expression) or not isinstance(value.element, Apply):
            return value
        wanted = uses > 1 or value.numel == 1 or work(value.element) > LARGEST
        return self.stored(value) if wanted else value

    def stored(self, value: Expression, strides: Sequence[int] | None = None) -> Expression:
        """A value in memory of its own, in an order in which it is quick to compute, or in that of these strides."""
        target = Expression.of(Buffer(value.numel, value.dtype), value.shape, strides or _own_order(value))
        self.add(Store(target, value))
        return target

    def put(self, value: Expression, name: str, dtype: torch.dtype) -> None:
        """A value, as dense as can be, to where that name points."""
        value = cast(value, dtype)
        load = value.element
        is_all = isinstance(load, Load) and load.buffer.numel == value.numel and load.strides == row_major(value.shape)
        if isinstance(load, Load) and is_all and load.buffer.place is None:
            load.buffer.place = name  # it is computed right there
        else:
            self.add(Store(Expression.of(Buffer(value.numel, dtype, name), value.shape), value))

    def copied(self, value: Expression) -> Expression:
        """A value in memory of its own, its last axis dense and so on."""
        return self.stored(value, row_major(value.shape))

    def loaded(self, value: Expression) -> Expression:
        """A value that lies in memory, as it may lie already."""
        return value if isinstance(value.element, Load) else self.stored(value)

    def reshaped(self, value: Expression, shape: Sequence[int]) -> Expression:
        """A value in another shape, copied where that needs it."""
        found = value.reshaped(shape) or self.copied(value).reshaped(shape)
        assert found is not None
        return found

    def folded(
        self,
        value: Expression,
        axes: Sequence[int],
        folding: Folding,
        *,
        keeps: bool = False,
    ) -> Expression:
        """A value with all elements of some axes as one."""
        gone = {axis % max(1, len(value.shape)) for axis in axes} if value.shape else set[int]()
        kept = [axis for axis in range(len(value.shape)) if axis not in gone]
        source = value.permuted([*kept, *sorted(gone)])
        shape = [value.shape[axis] for axis in kept]
        target = Expression.of(Buffer(math.prod(shape), value.dtype), shape)
        self.add(Fold(target, source, *folding))
        ones = [1 if axis in gone else size for axis, size in enumerate(value.shape)]
        return self.reshaped(target, ones) if keeps else target

    def product(self, left: Expression, right: Expression, start: Expression | None = None) -> Expression:
        """start + left [batch, m, k] · right [batch, k, n]."""
        left, right = self.loaded(left), self.loaded(right)
        (batch, m, k), n = left.shape, right.shape[-1]
        if 1 in (m, n, k):  # an outer or inner product, to be computed where it is needed
            wide = (batch, m, k, n)
            one = left.seen(wide, lambda old: (0, (*old, 0)))
            other = right.seen(wide, lambda old: (0, (old[0], 0, *old[1:])))
            pairs = Expression(wide, left.dtype, Apply("({0} * {1})", (one.element, other.element), left.dtype))
            found = self.reshaped(pairs, (batch, m, n)) if k == 1 else self.folded(pairs, [2], SUM)
            return found if start is None else added(start, found)
        assert isinstance(left.element, Load)
        if not _is_dense(right) and left.element.strides[1] == 1:  # of its transpose the right side is dense
            turned = [0, 2, 1]
            back = None if start is None else start.permuted(turned)
            return self._product(right.permuted(turned), left.permuted(turned), back).permuted(turned)
        return self._product(left, self._with_dense_rows(right), start)

    def _product(self, left: Expression, right: Expression, start: Expression | None) -> Expression:
        shape = (*left.shape[:2], right.shape[-1])
        target = Expression.of(Buffer(math.prod(shape), left.dtype), shape)
        if start is not None:
            target = self.copied(start.expanded(shape))
        self.add(Product(target, left, right, adds=start is not None))
        return target

    def _with_dense_rows(self, value: Expression) -> Expression:
        """What lies in memory, copied, once, where its last axis is not dense."""
        assert isinstance(value.element, Load)
        if _is_dense(value):
            return value
        key = (value.element, value.shape)
        if key not in self._dense:
            self._dense[key] = self.copied(value)
        return self._dense[key]


def cast(value: Expression, dtype: torch.dtype) -> Expression:
    """A value with numbers of another dtype."""
    if value.dtype == dtype:
        return value
    if isinstance(value.element, Number):
        return Expression(value.shape, dtype, Number(value.element.value, dtype))
    text = "({0} != 0)" if dtype == torch.bool else f"(({C_TYPES[dtype]})({{0}}))"
    return Expression(value.shape, dtype, Apply(text, (value.element,), dtype))


def added(one: Expression, other: Expression) -> Expression:
    """The sum of two, broadcast."""
    shape = tuple(torch.broadcast_shapes(one.shape, other.shape))
    element = Apply("({0} + {1})", (one.expanded(shape).element, other.expanded(shape).element), other.dtype)
    return Expression(shape, other.dtype, element)


NEUTRAL = {"({0} + {1})": (0, 0), "({0} - {1})": (None, 0), "({0} * {1})": (1, 1), "({0} / {1})": (None, 1)}
"""By operation, which number as the first or as the second operand gives the other one."""


def simplified(element: Apply) -> Element:
    """Without a sum with 0 or a product with 1."""
    if element.text in NEUTRAL:
        for neutral, gone, kept in zip(
            NEUTRAL[element.text], element.operands, reversed(element.operands), strict=True
        ):
            if neutral is not None and isinstance(gone, Number) and gone.value == neutral:
                return kept
    return element


def _is_dense(value: Expression) -> bool:
    element = value.element
    return isinstance(element, Load) and (value.shape[-1] == 1 or element.strides[-1] == 1)


def _own_order(value: Expression) -> tuple[int, ...]:
    """Strides without gaps in the order of a value's largest leaf."""
    largest = max(
        (leaf.strides for leaf in leaves(value.element) if isinstance(leaf, Load)),
        key=lambda strides: sum(bool(step) for step in strides),
        default=row_major(value.shape),
    )
    if any(not step and size > 1 for step, size in zip(largest, value.shape, strict=True)):
        return row_major(value.shape)
    found, dense = [0] * len(value.shape), 1
    for axis in sorted(range(len(value.shape)), key=lambda axis: (largest[axis], value.shape[axis])):
        found[axis], dense = dense, dense * value.shape[axis]
    return tuple(found)
