"""Tensors of one number, and of consecutive ones."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node

from mamlzoo.engine.native.expressions import Expression, Number, Position
from mamlzoo.engine.native.writer import Operation, UncoveredError, Writer, cast

aten = torch.ops.aten


def filled(number: float | bool) -> Operation:
    """The same number everywhere."""

    def operation(writer: Writer, node: Node, *_: Any, **__: Any) -> Expression:
        value = node.meta["val"]
        return Expression(tuple(value.shape), value.dtype, Number(number, value.dtype))

    return operation


def _filled_by(place: int) -> Operation:
    """The number that is an argument of the node."""

    def operation(writer: Writer, node: Node, *args: Any, **kwargs: Any) -> Expression:
        number = args[place] if len(args) > place else kwargs["fill_value"]
        if isinstance(number, Node):
            return writer.of(number, node.meta["val"].dtype, tuple(node.meta["val"].shape))
        made: Expression = filled(number)(writer, node)  # type: ignore[assignment]
        return made

    return operation


def _arange(writer: Writer, node: Node, *args: Any, **_: Any) -> Expression:
    start, step = (args[0] if len(args) > 1 else 0), (args[2] if len(args) > 2 else 1)
    if not isinstance(start, int) or not isinstance(step, int):
        raise UncoveredError("arange of fractions")
    value = node.meta["val"]
    return cast(Expression(tuple(value.shape), torch.int64, Position(start, (step,))), value.dtype)


OPERATIONS: dict[Any, Operation] = {
    **dict.fromkeys([aten.zeros, aten.zeros_like, aten.new_zeros], filled(0)),
    **dict.fromkeys([aten.empty, aten.empty_like, aten.new_empty, aten.empty_strided], filled(0)),  # to be overwritten
    **dict.fromkeys([aten.ones, aten.ones_like, aten.new_ones], filled(1)),
    **dict.fromkeys([aten.full, aten.full_like, aten.fill], _filled_by(1)),
    aten.new_full: _filled_by(2),
    aten.scalar_tensor: _filled_by(0),
    aten.arange: _arange,
}
