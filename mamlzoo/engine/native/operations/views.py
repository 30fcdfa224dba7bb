"""Operations that look at a tensor in another way, or take tensors apart and join them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch.fx import Node

from mamlzoo.engine.native.expressions import Buffer, Expression, Number
from mamlzoo.engine.native.statements.loops import Store
from mamlzoo.engine.native.writer import Operation, UncoveredError, Writer, cast

aten = torch.ops.aten
prims = torch.ops.prims


def part(own: Expression, axis: int, first: int, size: int, step: int = 1) -> Expression:
    """Some of a tensor along one axis."""
    shape = [size if here == axis else whole for here, whole in enumerate(own.shape)]

    def taken(old: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        return first * old[axis], tuple(stride * step if here == axis else stride for here, stride in enumerate(old))

    return own.seen(shape, taken)


def flipped(own: Expression, axes: Collection[int]) -> Expression:
    """The last one first, along some axes."""

    def backwards(old: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        first = sum((own.shape[axis] - 1) * old[axis] for axis in axes)
        return first, tuple(-step if axis in axes else step for axis, step in enumerate(old))

    return own.seen(own.shape, backwards)


def diagonal(own: Expression, offset: int = 0, one: int = 0, other: int = 1) -> Expression:
    """Elements (i, i + offset) of two axes, as a new last one."""
    one, other = one % len(own.shape), other % len(own.shape)
    rest = [axis for axis in range(len(own.shape)) if axis not in (one, other)]
    size = min(own.shape[one] + min(offset, 0), own.shape[other] - max(offset, 0))

    def taken(old: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        first = offset * old[other] if offset > 0 else -offset * old[one]
        return first, (*(old[axis] for axis in rest), old[one] + old[other])

    return own.seen((*(own.shape[axis] for axis in rest), size), taken)


def _same(writer: Writer, node: Node, value: Any, *_: Any, **__: Any) -> Expression:
    return cast(writer.value(value), node.meta["val"].dtype)


def _permuted(order: Callable[..., Sequence[int]]) -> Operation:
    """Of (number of axes, *the node's arguments) the order of axes."""

    def operation(writer: Writer, node: Node, value: Any, *rest: Any) -> Expression:
        own = writer.value(value)
        return own.permuted([axis % len(own.shape) for axis in order(len(own.shape), *rest)])

    return operation


def _swapped(dims: int, one: int, other: int) -> list[int]:
    order = list(range(dims))
    order[one], order[other] = order[other], order[one]
    return order


def _reshaped(writer: Writer, node: Node, value: Any, *_: Any, **__: Any) -> Expression:
    if writer.value(value).dtype != node.meta["val"].dtype:
        raise UncoveredError("the bits of numbers as other numbers")
    return writer.reshaped(writer.value(value), tuple(node.meta["val"].shape))


def _expanded(writer: Writer, node: Node, value: Any, *_: Any, **__: Any) -> Expression:
    return writer.spread(writer.value(value), tuple(node.meta["val"].shape))


def _broadcast(writer: Writer, node: Node, value: Any, shape: Sequence[int], axes: Sequence[int]) -> Expression:
    """Its axes become those axes of a shape."""
    own = writer.value(value)
    if math.prod(shape) > own.numel:
        own = writer.loaded(own)

    def spread(old: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        steps = [0] * len(shape)
        for here, axis in enumerate(axes):
            steps[axis] = 0 if own.shape[here] == 1 else old[here]
        return 0, tuple(steps)

    return own.seen(tuple(shape), spread)


def _select(writer: Writer, node: Node, value: Any, axis: int = 0, at: int = 0) -> Expression:
    own = writer.value(value)
    one = part(own, axis % len(own.shape), at % own.shape[axis], 1)
    return writer.reshaped(one, [size for here, size in enumerate(own.shape) if here != axis % len(own.shape)])


def _slice(
    writer: Writer, node: Node, value: Any, axis: int = 0, first: Any = None, last: Any = None, step: int = 1
) -> Expression:
    own = writer.value(value)
    axis %= len(own.shape)
    start = range(own.shape[axis])[slice(first, last, step)].start
    return part(own, axis, start, node.meta["val"].shape[axis], step)


def _split(writer: Writer, node: Node, value: Any, sizes: Any, axis: int = 0) -> tuple[Expression, ...]:
    own, parts, first = writer.value(value), [], 0
    axis %= len(own.shape)
    for piece in node.meta["val"]:
        parts.append(part(own, axis, first, piece.shape[axis]))
        first += piece.shape[axis]
    return tuple(parts)


def _unbind(writer: Writer, node: Node, value: Any, axis: int = 0) -> tuple[Expression, ...]:
    return tuple(_select(writer, node, value, axis, at) for at in range(writer.value(value).shape[axis]))


def _flip(writer: Writer, node: Node, value: Any, axes: Sequence[int]) -> Expression:
    own = writer.value(value)
    return flipped(own, {axis % len(own.shape) for axis in axes})


def _diagonal(writer: Writer, node: Node, value: Any, offset: int = 0, one: int = 0, other: int = 1) -> Expression:
    return diagonal(writer.value(value), offset, one, other)


def _diagonal_scatter(
    writer: Writer, node: Node, value: Any, source: Any, offset: int = 0, one: int = 0, other: int = 1
) -> Expression:
    own = writer.copied(writer.value(value))
    writer.add(Store(diagonal(own, offset, one, other), writer.of(source, own.dtype)))
    return own


def _joined(writer: Writer, node: Node, values: Sequence[Any], axis: int = 0) -> Expression:
    value = node.meta["val"]
    axis %= value.ndim
    whole, first = Expression.of(Buffer(value.numel(), value.dtype), tuple(value.shape)), 0
    for each in values:
        if each.meta["val"].numel():
            one = writer.of(each, value.dtype)
            writer.add(Store(part(whole, axis, first, one.shape[axis]), one))
            first += one.shape[axis]
    return whole


def _padded(writer: Writer, node: Node, value: Any, pads: Sequence[int], number: float = 0) -> Expression:
    """More around it; the pads of the last axis first, before it and behind it."""
    if min(pads) < 0:
        raise UncoveredError("a pad that takes away")
    own, like = writer.value(value), node.meta["val"]
    shape = tuple(like.shape)
    inside = whole = writer.copied(Expression(shape, like.dtype, Number(number, like.dtype)))
    for at, before in enumerate(pads[::2], 1):
        axis = len(shape) - at
        inside = part(inside, axis, before, own.shape[axis])
    writer.add(Store(inside, own))
    return whole


SAME = [aten.detach, aten.alias, aten.clone]
SHAPED = [aten.view, aten._unsafe_view, aten.reshape, aten.unsqueeze, aten.squeeze, prims.squeeze]
OPERATIONS: dict[Any, Operation] = {
    **dict.fromkeys([*SAME, aten._to_copy, aten.lift_fresh_copy, prims.convert_element_type], _same),
    **dict.fromkeys(SHAPED, _reshaped),
    aten.t: _permuted(lambda dims: range(dims)[::-1]),
    aten.transpose: _permuted(_swapped),
    aten.permute: _permuted(lambda dims, order: order),
    aten.expand: _expanded,
    prims.broadcast_in_dim: _broadcast,
    aten.select: _select,
    aten.slice: _slice,
    **dict.fromkeys([aten.split_with_sizes, aten.split], _split),
    aten.unbind: _unbind,
    aten.flip: _flip,
    aten.diagonal: _diagonal,
    aten.diagonal_scatter: _diagonal_scatter,
    aten.cat: _joined,
    aten.constant_pad_nd: _padded,
}
LOOKS = frozenset(
    {*SAME, *SHAPED, aten.t, aten.transpose, aten.permute, aten.expand, aten.select, aten.slice, aten.split}
    | {aten.split_with_sizes, aten.unbind, aten.flip, aten.diagonal, prims.broadcast_in_dim}
)
"""What only looks at a tensor, and computes nothing."""
