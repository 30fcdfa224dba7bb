"""Sums, means, extremes: elements of some axes as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import Node

from mamlzoo.engine.native.expressions import Apply, Expression
from mamlzoo.engine.native.writer import SUM, Folding, Operation, UncoveredError, Writer, mean_of

aten = torch.ops.aten
prims = torch.ops.prims


def _axes(own: Expression, axes: Any) -> Sequence[int]:
    """All of them where none are given."""
    given = [axes] if isinstance(axes, int) else axes
    return given or range(len(own.shape))


def _count(own: Expression, axes: Sequence[int]) -> int:
    return math.prod(own.shape[axis] for axis in axes) if own.shape else 1


def _sum(writer: Writer, node: Node, value: Any, axes: Any = None, keeps: bool = False, **_: Any) -> Expression:
    own = writer.of(value, node.meta["val"].dtype)
    return writer.folded(own, _axes(own, axes), SUM, keeps=keeps)


def _mean(writer: Writer, node: Node, value: Any, axes: Any = None, keeps: bool = False, **_: Any) -> Expression:
    own = writer.of(value, node.meta["val"].dtype)
    axes = _axes(own, axes)
    return writer.folded(own, axes, mean_of(_count(own, axes)), keeps=keeps)


def extreme(comparison: str) -> Folding:
    """The largest (>) or smallest (<) real number; NaN where one is NaN, as in torch."""
    nothing = f"{'-' if comparison == '>' else ''}__builtin_inff()"
    return Folding(nothing, f"choose({{1}} {comparison} {{0}} || {{1}} != {{1}}, {{1}}, {{0}})")


def _extreme(comparison: str) -> Operation:
    def operation(writer: Writer, node: Node, value: Any, axes: Any = (), keeps: bool = False) -> Expression:
        own = writer.loaded(writer.value(value))
        if not own.dtype.is_floating_point:
            raise UncoveredError("the largest of whole numbers")
        return writer.folded(own, _axes(own, axes), extreme(comparison), keeps=keeps)

    return operation


def _whether(symbol: str, start: str) -> Operation:
    def operation(writer: Writer, node: Node, value: Any, axes: Any = None, keeps: bool = False) -> Expression:
        own = writer.of(value, torch.bool)
        return writer.folded(own, _axes(own, axes), Folding(start, f"({{0}} {symbol} {{1}})"), keeps=keeps)

    return operation


def _variance_and_mean(
    writer: Writer, node: Node, value: Any, axes: Any = None, correction: Any = 1, keepdim: bool = False
) -> tuple[Expression, Expression]:
    """Σ (x − x̄)² / (n − correction), and x̄."""
    own = writer.loaded(writer.value(value))
    axes = _axes(own, axes)
    mean = writer.folded(own, axes, mean_of(_count(own, axes)), keeps=True)
    off = Apply("({0} - {1})", (own.element, mean.expanded(own.shape).element), own.dtype)
    squares = Expression(own.shape, own.dtype, Apply("({0} * {0})", (off,), own.dtype))
    left = max(0, _count(own, axes) - (1 if correction is None else correction))
    variance = writer.folded(squares, axes, mean_of(left), keeps=keepdim)
    return variance, writer.reshaped(mean, variance.shape)


def _variance(writer: Writer, node: Node, *args: Any, **kwargs: Any) -> Expression:
    return _variance_and_mean(writer, node, *args, **kwargs)[0]


OPERATIONS: dict[Any, Operation] = {
    **dict.fromkeys([aten.sum, prims.sum], _sum),
    aten.mean: _mean,
    aten.amax: _extreme(">"),
    aten.amin: _extreme("<"),
    aten.any: _whether("||", "0"),
    aten.all: _whether("&&", "1"),
    **dict.fromkeys([aten.var, prims.var], _variance),
    aten.var_mean: _variance_and_mean,
}
