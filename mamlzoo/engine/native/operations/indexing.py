"""Elements at indices that are computed: NaN, or 0, where there is none; nothing is written there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.fx import Node

from mamlzoo.engine.native.expressions import Apply, Expression, Load
from mamlzoo.engine.native.operations.views import part
from mamlzoo.engine.native.statements.loops import Scatter
from mamlzoo.engine.native.writer import Operation, UncoveredError, Writer

aten = torch.ops.aten


class _Spots(NamedTuple):
    """Places in what lies in memory, one for each element of a result.

    Attributes:
        first: where they were if all indices were 0.
        indices: each with the length and the stride of the axis that it goes along.
    """

    first: Expression
    indices: Sequence[tuple[Expression, int, int]]

    @property
    def inside(self) -> str:
        """The C text of whether indices {1}, {2}, … are within what is there."""
        return " && ".join(
            f"{{{at}}} >= {-size} && {{{at}}} < {size}" for at, (_, size, _) in enumerate(self.indices, 1)
        )

    @property
    def place(self) -> str:
        """The C text of the number there, {0} being the first."""
        steps = (
            f"{step} * ({{{at}}} < 0 ? {{{at}}} + {size} : {{{at}}})"
            for at, (_, size, step) in enumerate(self.indices, 1)
        )
        return f"(&{{0}})[{' + '.join(steps)}]"

    def read(self) -> Expression:
        """The numbers there."""
        own, nothing = self.first, '__builtin_nan("")' if self.first.dtype.is_floating_point else "0"
        operands = (own.element, *(index.element for index, *_ in self.indices))
        element = Apply(f"({self.inside} ? {self.place} : {nothing})", operands, own.dtype)
        return Expression(own.shape, own.dtype, element)

    def write(self, writer: Writer, source: Expression, *, adds: bool) -> None:
        """Write numbers there."""
        indices = [index for index, *_ in self.indices]
        writer.add(Scatter(self.first, self.inside, self.place, indices, source, adds))


def along(own: Expression, axis: int, index: Expression) -> _Spots:
    """As `gather` takes them: the other indices are those of the result."""
    assert isinstance(own.element, Load)
    axis %= max(1, len(own.shape))
    size, step = (own.shape[axis], own.element.strides[axis]) if own.shape else (1, 0)
    steps = tuple(0 if here == axis else stride for here, stride in enumerate(own.element.strides))
    return _Spots(own.seen(index.shape, lambda old: (0, steps)), [(index, size, step)])


def _of(writer: Writer, own: Expression, indices: Sequence[Any]) -> _Spots:
    """As `tensor[indices]` takes them: the indices' common axes are where the first of them is, or else in front."""
    load = own.element
    assert isinstance(load, Load)
    indices = [*indices, *[None] * (len(own.shape) - len(indices))]
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    if any(indices[axis].meta["val"].dtype in (torch.bool, torch.uint8) for axis in axes):
        raise UncoveredError("an index of conditions")
    given = [writer.of(indices[axis], torch.int64) for axis in axes]
    common = torch.broadcast_shapes(*(index.shape for index in given))
    first = axes[0] if axes == list(range(axes[0], axes[0] + len(axes))) else 0
    rest = [axis for axis in range(len(own.shape)) if axis not in axes]
    before, after = ([axis for axis in rest if (axis < first) is early] for early in (True, False))
    shape = (*(own.shape[axis] for axis in before), *common, *(own.shape[axis] for axis in after))

    def start(old: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        return 0, (*(old[axis] for axis in before), *(0 for _ in common), *(old[axis] for axis in after))

    def spread(old: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        return 0, (*(0 for _ in before), *old, *(0 for _ in after))

    found = [
        (writer.loaded(index).expanded(common).seen(shape, spread), own.shape[axis], load.strides[axis])
        for axis, index in zip(axes, given, strict=True)
    ]
    return _Spots(own.seen(shape, start), found)


def _gather(writer: Writer, node: Node, value: Any, axis: int, index: Any, **_: Any) -> Expression:
    return along(writer.loaded(writer.value(value)), axis, writer.of(index, torch.int64)).read()


def _index(writer: Writer, node: Node, value: Any, indices: Sequence[Any]) -> Expression:
    return _of(writer, writer.loaded(writer.value(value)), indices).read()


def _index_select(writer: Writer, node: Node, value: Any, axis: int, index: Any) -> Expression:
    dims = len(writer.value(value).shape)
    return _index(writer, node, value, [index if here == axis % dims else None for here in range(dims)])


def _scattered(*, adds: bool) -> Operation:
    def operation(
        writer: Writer, node: Node, value: Any, axis: int, index: Any, source: Any, **options: Any
    ) -> Expression:
        if options:
            raise UncoveredError(f"scatter with {options}")
        own, at = writer.copied(writer.value(value)), writer.loaded(writer.of(index, torch.int64))
        more = writer.of(source, own.dtype, None if isinstance(source, Node) else at.shape)
        for here, size in enumerate(at.shape):  # of the source only as much as there are indices
            more = part(more, here, 0, size)
        along(own, axis, at).write(writer, more, adds=adds)
        return own

    return operation


def _index_put(
    writer: Writer, node: Node, value: Any, indices: Sequence[Any], source: Any, accumulate: bool = False
) -> Expression:
    own = writer.copied(writer.value(value))
    spots = _of(writer, own, indices)
    spots.write(writer, writer.of(source, own.dtype, spots.first.shape), adds=accumulate)
    return own


OPERATIONS: dict[Any, Operation] = {
    aten.gather: _gather,
    aten.index_select: _index_select,
    aten.index: _index,
    aten.scatter: _scattered(adds=False),
    aten.scatter_add: _scattered(adds=True),
    aten.index_put: _index_put,
}
