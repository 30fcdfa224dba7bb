"""What aten's elementwise operations are in C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Node

from mamlzoo.engine.native.expressions import Apply, Expression
from mamlzoo.engine.native.writer import Operation, UncoveredError, Writer, simplified

aten = torch.ops.aten


class Constant(NamedTuple):
    """An operand that is no argument of the node, but a number."""

    value: float


class Truth(int):
    """An argument of the node that is a condition."""


Made = tuple[str, Sequence["int | Constant"], torch.dtype]
"""The C text, which arguments stand in it as {0}, {1}, …, and the dtype that they are computed with."""
Build = Callable[[torch.dtype, list[Any], dict[str, Any]], "Made | None"]


def _plain(text: str, count: int, single: str | None = None) -> Build:
    """Arguments of the result's dtype."""

    def build(dtype: torch.dtype, given: list[Any], options: dict[str, Any]) -> Made | None:
        if options:
            return None
        return (text if dtype != torch.float32 or single is None else single), range(count), dtype

    return build


def _function(name: str, count: int = 1) -> Build:
    """A function of C's library, which has another name for float."""
    arguments = ", ".join(f"{{{at}}}" for at in range(count))
    return _plain(f"{name}({arguments})", count, f"{name}f({arguments})")


def _compared(symbol: str) -> Build:
    def build(dtype: torch.dtype, given: list[Any], options: dict[str, Any]) -> Made | None:
        return f"({{0}} {symbol} {{1}})", range(2), torch.result_type(given[0], given[1])

    return build


def _scaled(symbol: str) -> Build:
    """add and sub, whose second argument has a factor."""

    def build(dtype: torch.dtype, given: list[Any], options: dict[str, Any]) -> Made | None:
        alpha = options.get("alpha", given[2] if len(given) > 2 else 1)
        if alpha == 1:
            return f"({{0}} {symbol} {{1}})", range(2), dtype
        return f"({{0}} {symbol} {{2}} * {{1}})", (0, 1, Constant(alpha)), dtype

    return build


def _power(dtype: torch.dtype, given: list[Any], options: dict[str, Any]) -> Made | None:
    exponent = given[1]
    if isinstance(exponent, Tensor) or isinstance(given[0], (int, float)):
        return ("powf({0}, {1})" if dtype == torch.float32 else "pow({0}, {1})"), (0, 1), dtype
    texts = {1: "({0} * {1})", 2: "({0} * {0})", 3: "({0} * {0} * {0})", -1: "({1} / {0})"}
    if exponent == 0:
        return "({0} * {1})", (Constant(1.0), Constant(1.0)), dtype
    if exponent in texts:
        return texts[exponent], (0, Constant(1.0)), dtype
    if exponent == 0.5:
        return ("sqrtf({0})" if dtype == torch.float32 else "sqrt({0})"), (0,), dtype
    return ("powf({0}, {1})" if dtype == torch.float32 else "pow({0}, {1})"), (0, 1), dtype


def _quotient(dtype: torch.dtype, given: list[Any], options: dict[str, Any]) -> Made | None:
    return None if options else ("({0} / {1})", range(2), dtype)


def _floor_divide(dtype: torch.dtype, given: list[Any], options: dict[str, Any]) -> Made | None:
    if dtype.is_floating_point or not isinstance(given[1], int) or given[1] <= 0:  # by 0 it would end the process
        return None
    return "({0} / {1} - ({0} % {1} != 0 && ({0} < 0) != ({1} < 0)))", range(2), dtype


def _shifted(symbol: str) -> Build:
    """By a number: beyond 63 C does as it likes."""

    def build(dtype: torch.dtype, given: list[Any], options: dict[str, Any]) -> Made | None:
        fits = dtype == torch.int64 and isinstance(given[1], int) and 0 <= given[1] < 64
        return (f"({{0}} {symbol} {{1}})", range(2), dtype) if fits else None

    return build


def _where(dtype: torch.dtype, given: list[Any], options: dict[str, Any]) -> Made | None:
    return "choose({0}, {1}, {2})", (Truth(0), 1, 2), dtype


def _clamp(dtype: torch.dtype, given: list[Any], options: dict[str, Any]) -> Made | None:
    low, high = [*given[1:], None, None][:2]
    if options or dtype == torch.bool:
        return None
    if high is None:
        return "choose({0} < {1}, {1}, {0})", (0, 1), dtype
    if low is None:
        return "choose({0} > {1}, {1}, {0})", (0, 2), dtype
    return "choose({0} < {1}, {1}, choose({0} > {2}, {2}, {0}))", (0, 1, 2), dtype


def _addcmul(symbol: str) -> Build:
    def build(dtype: torch.dtype, given: list[Any], options: dict[str, Any]) -> Made | None:
        value = options.get("value", 1)
        return f"({{0}} + {{3}} * ({{1}} {symbol} {{2}}))", (0, 1, 2, Constant(value)), dtype

    return build


BUILDS: dict[Any, Build] = {
    aten.add: _scaled("+"),
    aten.sub: _scaled("-"),
    aten.rsub: lambda dtype, given, options: None if options or len(given) > 2 else ("({1} - {0})", range(2), dtype),
    aten.mul: _plain("({0} * {1})", 2),
    aten.div: _quotient,
    aten.neg: _plain("(-{0})", 1),
    aten.pow: _power,
    aten.square: _plain("({0} * {0})", 1),
    aten.reciprocal: _plain("(1 / {0})", 1),
    aten.abs: _function("fabs"),
    aten.sqrt: _function("sqrt"),
    aten.rsqrt: _plain("(1 / sqrt({0}))", 1, "(1 / sqrtf({0}))"),
    aten.floor: _function("floor"),
    aten.ceil: _function("ceil"),
    aten.trunc: _function("trunc"),
    aten.round: _function("nearbyint"),
    aten.copy: lambda dtype, given, options: ("{0}", (1,), dtype),
    aten.exp: _function("exp"),
    aten.expm1: _function("expm1"),
    aten.log: _function("log"),
    aten.log1p: _function("log1p"),
    aten.sin: _function("sin"),
    aten.cos: _function("cos"),
    aten.tanh: _function("tanh"),
    aten.erf: _function("erf"),
    aten.erfc: _function("erfc"),
    aten.exp2: _function("exp2"),
    aten.log2: _function("log2"),
    aten.log10: _function("log10"),
    aten.tan: _function("tan"),
    aten.asin: _function("asin"),
    aten.acos: _function("acos"),
    aten.atan: _function("atan"),
    aten.sinh: _function("sinh"),
    aten.cosh: _function("cosh"),
    aten.asinh: _function("asinh"),
    aten.acosh: _function("acosh"),
    aten.atanh: _function("atanh"),
    aten.lgamma: _function("lgamma"),
    aten.atan2: _function("atan2", 2),
    aten.sigmoid: _plain("(1 / (1 + exp(-{0})))", 1, "(1 / (1 + expf(-{0})))"),
    aten.sign: _plain("((double)(({0} > 0) - ({0} < 0)))", 1, "((float)(({0} > 0) - ({0} < 0)))"),
    aten.relu: _plain("choose({0} < 0, 0, {0})", 1),
    aten.threshold_backward: _plain("choose({1} <= {2}, 0, {0})", 3),
    aten.tanh_backward: _plain("({0} * (1 - {1} * {1}))", 2),
    aten.sigmoid_backward: _plain("({0} * (1 - {1}) * {1})", 2),
    aten.maximum: _plain("choose({0} > {1} || {0} != {0}, {0}, {1})", 2),
    aten.minimum: _plain("choose({0} < {1} || {0} != {0}, {0}, {1})", 2),
    aten.clamp: _clamp,
    aten.clamp_min: _plain("choose({0} < {1}, {1}, {0})", 2),
    aten.clamp_max: _plain("choose({0} > {1}, {1}, {0})", 2),
    aten.lerp: lambda dtype, given, options: ("({0} + {2} * ({1} - {0}))", range(3), dtype),
    aten.addcmul: _addcmul("*"),
    aten.addcdiv: _addcmul("/"),
    aten.floor_divide: _floor_divide,
    aten.where: _where,
    aten.masked_fill: lambda dtype, given, options: ("choose({0}, {1}, {2})", (Truth(1), 2, 0), dtype),
    aten.eq: _compared("=="),
    aten.ne: _compared("!="),
    aten.lt: _compared("<"),
    aten.le: _compared("<="),
    aten.gt: _compared(">"),
    aten.ge: _compared(">="),
    aten.isnan: lambda dtype, given, options: ("({0} != {0})", range(1), given[0].dtype),
    aten.logical_not: lambda dtype, given, options: ("(!{0})", range(1), given[0].dtype),
    aten.logical_and: lambda dtype, given, options: ("({0} && {1})", range(2), torch.bool),
    aten.logical_or: lambda dtype, given, options: ("({0} || {1})", range(2), torch.bool),
    aten.bitwise_and: _plain("({0} & {1})", 2),
    aten.bitwise_or: _plain("({0} | {1})", 2),
    aten.bitwise_xor: _plain("({0} ^ {1})", 2),
    aten.bitwise_not: lambda dtype, given, options: (
        ("(!{0})" if dtype == torch.bool else "(~{0})"), range(1), dtype,
    ),
    aten.bitwise_right_shift: _shifted(">>"),
    aten.bitwise_left_shift: _shifted("<<"),
    aten.__rshift__: _shifted(">>"),
    aten.__lshift__: _shifted("<<"),
}  # fmt: skip
OF_REALS = frozenset({aten.abs, aten.sign, aten.pow})
"""What is written here of numbers with a point alone."""
OF_WIDE_NUMBERS = frozenset({aten.add, aten.sub, aten.rsub, aten.mul, aten.neg, aten.square, aten.floor_divide})
"""What C computes of narrow whole numbers, and of conditions, in wider ones."""


def _operation(packet: Any, build: Build) -> Operation:
    """What computes each element from those of the arguments at the same place."""

    def operation(writer: Writer, node: Node, *args: Any, **options: Any) -> Expression:
        value = node.meta["val"]
        given = [argument.meta["val"] if isinstance(argument, Node) else argument for argument in args]
        is_real = value.dtype.is_floating_point
        is_narrow = not is_real and value.dtype != torch.int64
        made = build(value.dtype, given, options)
        if made is None or (packet in OF_REALS and not is_real) or (packet in OF_WIDE_NUMBERS and is_narrow):
            raise UncoveredError(f"{node.target} with {args} and {options}")
        text, places, dtype = made
        shape = tuple(value.shape)
        operands = [
            writer.of(place.value, dtype, shape)
            if isinstance(place, Constant)
            else writer.of(args[place], torch.bool if isinstance(place, Truth) else dtype, shape)
            for place in places
        ]
        element = Apply(text, tuple(operand.element for operand in operands), value.dtype)
        return Expression(shape, value.dtype, simplified(element))

    return operation


OPERATIONS: dict[Any, Operation] = {packet: _operation(packet, build) for packet, build in BUILDS.items()}
