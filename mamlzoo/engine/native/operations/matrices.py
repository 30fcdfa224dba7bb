"""Products of matrices, their factors, and systems of equations."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import Node

from mamlzoo.engine.native.expressions import Buffer, Expression, Number
from mamlzoo.engine.native.statements.linear_algebra import Factor, Solution
from mamlzoo.engine.native.writer import Operation, UncoveredError, Writer

aten = torch.ops.aten


def _mm(writer: Writer, node: Node, left: Any, right: Any) -> Expression:
    return _alone(writer.product(_one(writer.value(left)), _one(writer.value(right))))


def _addmm(
    writer: Writer, node: Node, start: Any, left: Any, right: Any, *, beta: float = 1, alpha: float = 1
) -> Expression:
    if beta != 1 or alpha != 1:
        raise UncoveredError("addmm with factors")
    first = _one(writer.spread(writer.value(start), tuple(node.meta["val"].shape)))
    return _alone(writer.product(_one(writer.value(left)), _one(writer.value(right)), first))


def _bmm(writer: Writer, node: Node, left: Any, right: Any) -> Expression:
    return writer.product(writer.value(left), writer.value(right))


def _one(value: Expression) -> Expression:
    """As a batch of one."""
    return value.seen((1, *value.shape), lambda old: (0, (0, *old)))


def _alone(value: Expression) -> Expression:
    return value.seen(value.shape[1:], lambda old: (0, old[1:]))


def _cholesky(
    writer: Writer, node: Node, value: Any, *, upper: bool = False, check_errors: bool = False
) -> tuple[Expression, Expression]:
    """Beside the factor whether there was none, which nobody asks here: it is NaN then."""
    if upper:
        raise UncoveredError("a factor of what stands above the diagonal")
    own = writer.loaded(writer.value(value))
    target = Expression.of(Buffer(own.numel, own.dtype), own.shape)
    writer.add(Factor(_batched(writer, target), _batched(writer, own)))
    none = Expression(own.shape[:-2], torch.int32, Number(0, torch.int32))
    return target, none


def _solve_triangular(
    writer: Writer, node: Node, matrix: Any, right: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Expression:
    own, other = writer.value(matrix), writer.value(right)
    if left:
        return _solved(writer, own, other, upper, unitriangular)
    return _turned(_solved(writer, _turned(own), _turned(other), not upper, unitriangular))


def _cholesky_solve(writer: Writer, node: Node, right: Any, factor: Any, upper: bool = False) -> Expression:
    lower = _turned(writer.value(factor)) if upper else writer.value(factor)
    return _solved(writer, _turned(lower), _solved(writer, lower, writer.value(right), False), True)


def _solved(writer: Writer, matrix: Expression, right: Expression, upper: bool, unit: bool = False) -> Expression:
    """X of matrix · X = right."""
    batch = torch.broadcast_shapes(matrix.shape[:-2], right.shape[:-2])
    spread = writer.loaded(matrix).expanded((*batch, *matrix.shape[-2:]))
    target = writer.copied(writer.spread(right, (*batch, *right.shape[-2:])))
    writer.add(Solution(_batched(writer, target), _batched(writer, spread), upper, unit))
    return target


def _batched(writer: Writer, value: Expression) -> Expression:
    """Matrices [batch, rows, columns]."""
    return writer.reshaped(value, (math.prod(value.shape[:-2]), *value.shape[-2:]))


def _turned(value: Expression) -> Expression:
    *batch, rows, columns = range(len(value.shape))
    return value.permuted([*batch, columns, rows])


OPERATIONS: dict[Any, Operation] = {
    aten.mm: _mm,
    aten.addmm: _addmm,
    aten.bmm: _bmm,
    aten.linalg_cholesky_ex: _cholesky,
    aten.linalg_solve_triangular: _solve_triangular,
    aten.cholesky_solve: _cholesky_solve,
}
