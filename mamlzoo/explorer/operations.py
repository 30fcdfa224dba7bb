"""Aten's operations as instructions of a page."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from mamlzoo.explorer.lowering import Lowering, Seen, UncoveredError, Value

aten = torch.ops.aten
Operation = Callable[..., Value]
"""(lowering, node, *its arguments, **its keywords) -> what the node is."""
ELEMENTWISE = {
    "abs": "abs", "atan": "atan", "ceil": "ceil", "cos": "cos", "eq": "eq", "erf": "erf", "exp": "exp",
    "expm1": "expm1", "floor": "floor", "ge": "ge", "gt": "gt", "isnan": "isnan", "le": "le", "log": "log",
    "log1p": "log1p", "log2": "log2", "logical_and": "and", "logical_not": "not", "logical_or": "or", "lt": "lt",
    "maximum": "maximum", "minimum": "minimum", "mul": "mul", "ne": "ne", "neg": "neg", "pow": "pow",
    "reciprocal": "reciprocal", "relu": "relu", "round": "round", "rsqrt": "rsqrt", "sigmoid": "sigmoid",
    "sign": "sign", "sin": "sin", "sinh": "sinh", "cosh": "cosh", "sqrt": "sqrt", "tan": "tan", "tanh": "tanh",
    "threshold_backward": "threshold_backward", "where": "where", "clone": "copy", "alias": "copy",
    "sigmoid_backward": "sigmoid_backward", "tanh_backward": "tanh_backward",
}  # fmt: skip
"""Those that compute each element of those at its place, by what the page calls them."""
FOLDS = {"sum": "sum", "amax": "max", "amin": "min", "prod": "prod"}
FILLED = {"ones_like": 1.0, "zeros_like": 0.0, "new_zeros": 0.0, "new_ones": 1.0}


def _shape(node: Node) -> list[int]:
    return list(node.meta["val"].shape)


def _elementwise(function: str) -> Operation:
    def operation(lowering: Lowering, node: Node, *args: Value | float, **_: Any) -> Value:
        return lowering.map(function, _shape(node), *args)

    return operation


def _fold(function: str) -> Operation:
    def operation(lowering: Lowering, node: Node, value: Value, axes: Any = (), keeps: bool = False, **_: Any) -> Value:
        return lowering.fold(function, value, [axes] if isinstance(axes, int) else axes or (), keeps)

    return operation


def _scaled(function: str) -> Operation:
    """A sum or a difference, whose second operand has a factor."""

    def operation(lowering: Lowering, node: Node, one: Value, other: Value, alpha: float = 1) -> Value:
        scaled = other if alpha == 1 else lowering.map("mul", _shape_of(other), other, alpha)
        return lowering.map(function, _shape(node), one, scaled)

    return operation


def _shape_of(value: Any) -> list[int]:
    return list(value.shape) if isinstance(value, (Seen, Tensor)) else []


def _div(lowering: Lowering, node: Node, one: Value, other: Value, rounding_mode: str | None = None) -> Value:
    found = lowering.map("div", _shape(node), one, other)
    return found if rounding_mode is None else lowering.map(rounding_mode, _shape(node), found)


def _mean(lowering: Lowering, node: Node, value: Value, axes: Any = (), keeps: bool = False, **_: Any) -> Value:
    total = lowering.fold("sum", value, axes or (), keeps)
    count = math.prod(_shape_of(value)) // max(1, math.prod(total.shape))
    return lowering.map("div", total.shape, total, count)


def _var_mean(
    lowering: Lowering,
    node: Node,
    value: Value,
    axes: Any = None,
    correction: float | None = None,
    keepdim: bool = False,
) -> Value:
    value = lowering.seen(value)
    mean = _mean(lowering, node, value, axes, True)
    assert isinstance(mean, Seen)
    away = lowering.map("sub", value.shape, value, mean)
    squares = lowering.fold("sum", lowering.map("mul", value.shape, away, away), axes or (), keepdim)
    count = math.prod(value.shape) // max(1, math.prod(mean.shape))
    spread = lowering.map("div", squares.shape, squares, count - (1 if correction is None else correction))
    return spread, Seen(mean.buffer, mean.view.reshape(squares.shape))


def _rsub(lowering: Lowering, node: Node, one: Value, other: Value, alpha: float = 1) -> Value:
    return _scaled("sub")(lowering, node, other, one, alpha)


def _clamp(lowering: Lowering, node: Node, value: Value, low: Any = None, high: Any = None, **more: Any) -> Value:
    low, high = more.get("min", low), more.get("max", high)
    if low is not None:
        value = lowering.map("maximum", _shape(node), value, low)
    return value if high is None else lowering.map("minimum", _shape(node), value, high)


def _masked_fill(lowering: Lowering, node: Node, value: Value, mask: Value, filling: Value) -> Value:
    return lowering.map("where", _shape(node), mask, filling, value)


def _to_copy(lowering: Lowering, node: Node, value: Value, **_: Any) -> Value:
    dtype = node.meta["val"].dtype
    before = node.args[0].meta["val"].dtype  # type: ignore[union-attr]
    if dtype == torch.bool:
        return lowering.map("ne", _shape(node), value, 0)
    truncated = before.is_floating_point and not dtype.is_floating_point
    return lowering.map("trunc" if truncated else "copy", _shape(node), value)


def _of_truths(function: str) -> Operation:
    """Of bits, where these are truths."""

    def operation(lowering: Lowering, node: Node, *args: Value) -> Value:
        if node.meta["val"].dtype != torch.bool:
            raise UncoveredError(f"{node.target} of whole numbers is not known to the page")
        return lowering.map(function, _shape(node), *args)

    return operation


def _filled(number: float) -> Operation:
    def operation(lowering: Lowering, node: Node, *_: Any, **__: Any) -> Value:
        return torch.full(_shape(node), number)

    return operation


def _full(lowering: Lowering, node: Node, value: Value, *args: Any, **_: Any) -> Value:
    """`full_like` and `new_full`, whose last argument is the number."""
    return torch.full(_shape(node), args[-1])


def _cat(lowering: Lowering, node: Node, values: Sequence[Value], axis: int = 0) -> Value:
    target, first = lowering.new(_shape(node)), 0
    for value in values:
        size = _shape_of(value)
        if 0 in size:  # as torch has it, an empty tensor may have any shape
            continue
        length = size[axis]
        lowering.put("copy", Seen(target.buffer, target.view.narrow(axis, first, length)), value)
        first += length
    return target


def _mm(lowering: Lowering, node: Node, left: Value, right: Value) -> Value:
    left, right = lowering.seen(left), lowering.seen(right)
    found = lowering.matrices(Seen(left.buffer, left.view[None]), Seen(right.buffer, right.view[None]))
    return Seen(found.buffer, found.view[0])


def _bmm(lowering: Lowering, node: Node, left: Value, right: Value) -> Value:
    return lowering.matrices(left, right)


def _addmm(
    lowering: Lowering, node: Node, start: Value, left: Value, right: Value, beta: float = 1, alpha: float = 1
) -> Value:
    shape, found = _shape(node), _mm(lowering, node, left, right)
    found = found if alpha == 1 else lowering.map("mul", shape, found, alpha)
    start = start if beta == 1 else lowering.map("mul", _shape_of(start), start, beta)
    return lowering.map("add", shape, found, start)


def _each(shape: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The places of the matrices of a batch."""
    return itertools.product(*map(range, shape[:-2]))


def _at(value: Seen, at: tuple[int, ...]) -> list[int]:
    return Seen(value.buffer, value.view[at]).operand()


def _cholesky(
    lowering: Lowering, node: Node, value: Value, upper: bool = False, check_errors: bool = False
) -> tuple[Value, Value]:
    value = lowering.seen(value)
    target, n = lowering.new(value.shape), value.shape[-1]
    for at in _each(value.shape):
        start = int(target.view[at].storage_offset())
        lowering.code.append(["cholesky", [target.buffer, start], n, _at(value, at)])
    return Seen(target.buffer, target.view.mT) if upper else target, torch.zeros(value.shape[:-2], dtype=torch.int32)


def _solved(lowering: Lowering, triangle: Seen, right: Seen, upper: bool, unit: bool = False) -> Seen:
    """Solutions of triangle · X = right."""
    batch = torch.broadcast_shapes(triangle.shape[:-2], right.shape[:-2])
    n, m = right.shape[-2:]
    triangle = Seen(triangle.buffer, triangle.view.expand(*batch, n, n))
    right = Seen(right.buffer, right.view.expand(*batch, n, m))
    target = lowering.new(right.shape)
    for at in _each(right.shape):
        start = int(target.view[at].storage_offset())
        lowering.code.append(
            ["solve", [target.buffer, start], [n, m], int(upper), int(unit), _at(triangle, at), _at(right, at)]
        )
    return target


def _turned(value: Seen) -> Seen:
    return Seen(value.buffer, value.view.mT)


def _solve_triangular(
    lowering: Lowering,
    node: Node,
    triangle: Value,
    right: Value,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Value:
    triangle, right = lowering.seen(triangle), lowering.seen(right)
    if left:
        return _solved(lowering, triangle, right, upper, unitriangular)
    return _turned(_solved(lowering, _turned(triangle), _turned(right), not upper, unitriangular))


def _cholesky_solve(lowering: Lowering, node: Node, right: Value, factor: Value, upper: bool = False) -> Value:
    right, factor = lowering.seen(right), lowering.seen(factor)
    lower = _turned(factor) if upper else factor
    return _solved(lowering, _turned(lower), _solved(lowering, lower, right, False), True)


def _taken(lowering: Lowering, node: Node, value: Value, *args: Any, **keywords: Any) -> Value:
    """What reorders or picks numbers of a tensor; by several indices, only at places that are known."""
    value = lowering.seen(value)
    if isinstance(args[-1], Seen) and len(args) == 2:
        axis, places = args
        if node.target is aten.index_select.default:
            places = Seen(places.buffer, _along(places.view, axis, len(value.shape)))
        return _picked(lowering, value, axis, places, _shape(node))
    if len(args) == 1 and isinstance(args[0], list) and len(args[0]) == 1 and isinstance(args[0][0], Seen):
        (places,) = args[0]
        more = len(value.shape) - 1
        wide = Seen(places.buffer, places.view[(..., *[None] * more)])
        return _picked(lowering, _led(value, len(places.shape)), 0, wide, _shape(node))
    positions = torch.arange(lowering.size(value))
    places = positions.as_strided(value.view.shape, value.view.stride(), value.view.storage_offset())
    try:
        found = node.target(places, *args, **keywords)  # type: ignore[operator]
    except (TypeError, RuntimeError) as error:
        raise UncoveredError(f"{node.target} at places that are computed is not known to the page") from error
    target = lowering.new(found.shape)
    lowering.code.append(["take", target.buffer, lowering.pool.array(found.to(torch.int32)), value.buffer])
    return target


def _along(places: Tensor, axis: int, axes: int) -> Tensor:
    """Places [n] as a tensor that has them along one axis."""
    return places.reshape([-1 if at == axis % axes else 1 for at in range(axes)])


def _led(value: Seen, axes: int) -> Seen:
    """A value [n, …] whose first axis is followed by so many others, less one, that it does not have."""
    return Seen(value.buffer, value.view[(slice(None), *[None] * (axes - 1))])


def _picked(lowering: Lowering, value: Seen, axis: int, places: Seen, shape: Sequence[int]) -> Seen:
    """The numbers at places of an axis that the page computes, as `gather` has them."""
    target, stride = lowering.new(shape), value.view.stride()[axis]
    base = Seen(value.buffer, value.view.narrow(axis, 0, 1))
    operands = base.operand(shape), places.operand(shape)
    lowering.code.append(["pick", target.buffer, list(shape), int(stride), *operands])
    return target


def _sort(
    lowering: Lowering, node: Node, value: Value, axis: int = -1, descending: bool = False, **keywords: Any
) -> tuple[Value, Value]:
    axis, descending = keywords.get("dim", axis), keywords.get("descending", descending)
    turned = lowering.seen(value)
    turned = Seen(turned.buffer, turned.view.movedim(axis, -1))
    found, order = lowering.new(turned.shape), lowering.new(turned.shape)
    rows, n = math.prod(turned.shape[:-1]), turned.shape[-1]
    source = lowering.copied(turned)
    lowering.code.append(["sort", found.buffer, order.buffer, [rows, n], int(descending), source.buffer])
    return tuple(Seen(each.buffer, each.view.movedim(-1, axis)) for each in (found, order))  # type: ignore[return-value]


def _named(operations: dict[str, Operation]) -> dict[Any, Operation]:
    return {getattr(aten, name): operation for name, operation in operations.items()}


OPERATIONS: dict[Any, Operation] = (
    _named({name: _elementwise(function) for name, function in ELEMENTWISE.items()})
    | _named({name: _fold(function) for name, function in FOLDS.items()})
    | _named({name: _filled(number) for name, number in FILLED.items()})
    | _named({"bitwise_and": _of_truths("and"), "bitwise_not": _of_truths("not"), "bitwise_or": _of_truths("or")})
    | _named(dict.fromkeys(("index", "index_select", "flip", "roll", "gather", "repeat"), _taken))
    | {
        aten.add: _scaled("add"),
        aten.sub: _scaled("sub"),
        aten.rsub: _rsub,
        aten.div: _div,
        aten.mean: _mean,
        aten.var_mean: _var_mean,
        aten.clamp: _clamp,
        aten.masked_fill: _masked_fill,
        aten._to_copy: _to_copy,
        aten.full_like: _full,
        aten.new_full: _full,
        aten.cat: _cat,
        aten.mm: _mm,
        aten.bmm: _bmm,
        aten.addmm: _addmm,
        aten.sort: _sort,
        aten.linalg_cholesky_ex: _cholesky,
        aten.linalg_solve_triangular: _solve_triangular,
        aten.cholesky_solve: _cholesky_solve,
    }
)
"""By operation, how it is written."""
