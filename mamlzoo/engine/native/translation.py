"""From a traced graph of aten operations to statements of C."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from mamlzoo.engine.compilation.program_cache import CannotCompileError
from mamlzoo.engine.native.elementwise import ELEMENTWISE, Constant, Truth
from mamlzoo.engine.native.expressions import (
    Apply,
    Buffer,
    Element,
    Expression,
    Load,
    Number,
    Position,
    leaves,
    row_major,
    work,
)
from mamlzoo.engine.native.linear_algebra import Factor, Solution
from mamlzoo.engine.native.loops import C_TYPES, Fold, Scatter, Statement, Store
from mamlzoo.engine.native.products import Product

aten = torch.ops.aten
LARGEST = 24
"""Operations of one element; what is more is computed in two loops."""
Value = Expression | tuple[Expression, ...]


class UncoveredError(CannotCompileError):
    """The graph holds an operation that is not written here; another compiler may know it."""


class Translation:
    """The statements of a graph, and what its outputs are.

    Attributes:
        statements: in an order in which they can run.
        outputs: of the graph.
    """

    def __init__(self, graph: GraphModule, inputs: Sequence[Expression]) -> None:
        """Translate.

        Args:
            inputs: what the graph's inputs are.

        Raises:
            UncoveredError: it holds what is not covered.
        """
        self.statements: list[Statement] = []
        self.outputs: list[Expression] = []
        self._values: dict[Node, Value] = {}
        self._uses = _uses(graph)
        self._dense: dict[tuple[Load, tuple[int, ...]], Expression] = {}
        given = iter(inputs)
        for node in graph.graph.nodes:
            if node.op == "placeholder":
                self._values[node] = next(given)
            elif node.op == "output":
                self.outputs = [self._values[out] for out in node.args[0]]  # type: ignore[misc]
            elif node.op == "call_function":
                self._values[node] = self._settled(node, self._translated(node))
            else:
                raise UncoveredError(f"a graph with {node.op}")

    def _translated(self, node: Node) -> Value:
        if node.target is aten._linalg_check_errors.default:
            return ()
        if node.target is operator.getitem:
            return self._values[node.args[0]][node.args[1]]  # type: ignore[index, call-overload]
        packet = getattr(node.target, "overloadpacket", None)
        values = [value for value in _flat(node.meta.get("val")) if isinstance(value, Tensor)]
        if not values or any(value.dtype not in C_TYPES or value.numel() == 0 for value in values):
            raise UncoveredError(f"{node.target} of {', '.join(str(value.dtype) for value in values) or 'no tensor'}")
        if packet in ELEMENTWISE:
            return self._elementwise(node, ELEMENTWISE[packet])
        method = METHODS.get(packet)
        if method is None:
            raise UncoveredError(f"{node.target} is not covered")
        return method(self, node, *node.args, **node.kwargs)

    def _settled(self, node: Node, value: Value) -> Value:
        """A value, in memory where several would compute it again, or where there is a single number of it."""
        if not isinstance(value, Expression) or not isinstance(value.element, Apply):
            return value
        several, single = self._uses.get(node, 0) > 1, value.numel == 1
        return self.stored(value) if several or single or work(value.element) > LARGEST else value

    def of(self, argument: Any, dtype: torch.dtype, shape: Sequence[int] | None = None) -> Expression:
        """An argument of a node as an expression of that dtype."""
        if isinstance(argument, Node):
            value = self._values[argument]
            assert isinstance(value, Expression)
        elif isinstance(argument, (bool, int, float)):
            value = Expression((), dtype, Number(argument, dtype))
        else:
            raise UncoveredError(f"an argument {argument!r}")
        value = cast(value, dtype)
        return value if shape is None else self.spread(value, shape)

    def spread(self, value: Expression, shape: Sequence[int]) -> Expression:
        """Broadcast, what is computed once before."""
        if math.prod(shape) > value.numel and isinstance(value.element, Apply):
            value = self.stored(value)
        return value.expanded(shape)

    def _elementwise(self, node: Node, build: Callable[..., Any]) -> Expression:
        value = node.meta["val"]
        given = [argument.meta["val"] if isinstance(argument, Node) else argument for argument in node.args]
        made = build(value.dtype, given, dict(node.kwargs))
        if made is None:
            raise UncoveredError(f"{node.target} with {node.kwargs}")
        text, at, dtype = made
        shape = tuple(value.shape)
        operands = [
            self.of(place.value, dtype, shape)
            if isinstance(place, Constant)
            else self.of(node.args[place], torch.bool if isinstance(place, Truth) else dtype, shape)
            for place in at
        ]
        element = Apply(text, tuple(operand.element for operand in operands), value.dtype)
        return Expression(shape, value.dtype, simplified(element))

    def add(self, statement: Statement) -> None:
        """Another statement; what it writes is another one for each task where something is that it reads."""
        statement.writes.varies |= any(buffer.varies for buffer in statement.reads)
        self.statements.append(statement)

    def stored(self, value: Expression, strides: Sequence[int] | None = None) -> Expression:
        """A value in memory, in an order in which it is quick to compute."""
        if strides is None:
            strides = _layout(value)
        target = Expression.of(Buffer(value.numel, value.dtype), value.shape, strides)
        self.add(Store(target, value))
        return target

    def copied(self, value: Expression) -> Expression:
        """A value in memory of its own."""
        target = Expression.of(Buffer(value.numel, value.dtype), value.shape)
        self.add(Store(target, value))
        return target

    def scatter(
        self, around: Expression, indices: Sequence[tuple[Expression, int, Expression]], source: Expression, adds: bool
    ) -> None:
        """Write numbers at indices; nothing where an index is beyond what is there."""
        inside, place = _spot(indices)
        self.add(Scatter(around, inside, place, [at for *_, at in indices], source, adds))

    def loaded(self, value: Expression) -> Expression:
        """A value that lies in memory, as it may lie already."""
        return value if isinstance(value.element, Load) else self.stored(value)

    def dense(self, value: Expression) -> Expression:
        """A value that lies in memory with a dense last axis."""
        element = value.element
        if isinstance(element, Load) and (value.shape[-1] == 1 or element.strides[-1] == 1):
            return value
        if not isinstance(element, Load):
            return self.stored(value, row_major(value.shape))
        key = (element, value.shape)
        if key not in self._dense:
            self._dense[key] = self.stored(value, row_major(value.shape))
        return self._dense[key]

    def folded(
        self,
        value: Expression,
        axes: Sequence[int],
        keeps: bool,
        fold: tuple[str, str, str],
        dtype: torch.dtype | None = None,
    ) -> Expression:
        """A value with some axes as one element."""
        axes = sorted({axis % max(1, len(value.shape)) for axis in axes}) if value.shape else []
        kept = [axis for axis in range(len(value.shape)) if axis not in axes]
        source = value.permuted([*kept, *axes])
        buffer = Buffer(math.prod(value.shape[axis] for axis in kept), dtype or value.dtype)
        target = Expression.of(buffer, [value.shape[axis] for axis in kept])
        self.add(Fold(target, source, *fold))
        shape = [1 if axis in axes else size for axis, size in enumerate(value.shape)]
        found = target.reshaped(shape) if keeps else target
        assert found is not None
        return found

    def product(self, left: Expression, right: Expression, start: Expression | None = None) -> Expression:
        """left [batch, m, k] · right [batch, k, n]."""
        (batch, m, k), n = left.shape, right.shape[-1]
        shape, dtype = (batch, m, n), left.dtype
        if 1 in (m, n, k):  # an outer or an inner product
            wide = (batch, m, k, n)
            one = left.seen(wide, lambda old: (0, (*old, 0)))
            other = right.seen(wide, lambda old: (0, (old[0], 0, *old[1:])))
            if isinstance(one.element, Apply) or isinstance(other.element, Apply):
                one, other = (
                    self.loaded(side).seen(wide, see)
                    for side, see in (
                        (left, lambda old: (0, (*old, 0))),
                        (right, lambda old: (0, (old[0], 0, *old[1:]))),
                    )
                )
            pairs = Expression(wide, dtype, Apply("({0} * {1})", (one.element, other.element), dtype))
            if k == 1:
                found = pairs.reshaped(shape)
                assert found is not None
            else:
                found = self.folded(pairs, [2], False, SUM)
            return found if start is None else added(start, found)
        left, right = self.loaded(left), self.loaded(right)
        assert isinstance(left.element, Load)
        if not _is_dense(right) and left.element.strides[1] == 1:  # its transpose: rows of the left side are dense
            turned = [0, 2, 1]
            back = None if start is None else start.permuted(turned)
            return self._product(right.permuted(turned), left.permuted(turned), back).permuted(turned)
        return self._product(left, self.dense(right), start)

    def _product(self, left: Expression, right: Expression, start: Expression | None) -> Expression:
        shape = (*left.shape[:2], right.shape[-1])
        if start is not None:
            target = self.stored(start.expanded(shape), row_major(shape))
        else:
            target = Expression.of(Buffer(math.prod(shape), left.dtype), shape)
        self.add(Product(target, left, right, adds=start is not None))
        return target

    def value_of(self, node: Any) -> Expression:
        """What a node is."""
        value = self._values[node]
        assert isinstance(value, Expression)
        return value


SUM = ("0", "{0} + {1}", "{0}")


def cast(value: Expression, dtype: torch.dtype) -> Expression:
    """With numbers of another dtype."""
    if value.dtype == dtype:
        return value
    if isinstance(value.element, Number):
        return Expression(value.shape, dtype, Number(value.element.value, dtype))
    text = "({0} != 0)" if dtype == torch.bool else f"(({C_TYPES[dtype]})({{0}}))"
    return Expression(value.shape, dtype, Apply(text, (value.element,), dtype))


def added(one: Expression, other: Expression) -> Expression:
    """The sum of two, broadcast."""
    shape = torch.broadcast_shapes(one.shape, other.shape)
    element = Apply("({0} + {1})", (one.expanded(shape).element, other.expanded(shape).element), other.dtype)
    return Expression(tuple(shape), other.dtype, element)


def simplified(element: Apply) -> Element:
    """Without a sum with 0 or a product with 1."""
    one, *others = element.operands or (None,)
    other = others[0] if others else None
    for kept, gone in ((one, other), (other, one)):
        if isinstance(gone, Number) and not isinstance(kept, (Number, type(None))):
            if (element.text == "({0} + {1})" and gone.value == 0) or (
                element.text == "({0} * {1})" and gone.value == 1
            ):
                return kept
    if element.text in ("({0} - {1})", "({0} / {1})") and isinstance(other, Number) and one is not None:
        if other.value == (0 if "-" in element.text else 1):
            return one
    return element


def _is_dense(value: Expression) -> bool:
    element = value.element
    return isinstance(element, Load) and (value.shape[-1] == 1 or element.strides[-1] == 1)


def _layout(value: Expression) -> tuple[int, ...]:
    """The strides that a value's own order gives it: that of its largest leaf."""
    largest = max(
        (leaf.strides for leaf in leaves(value.element) if isinstance(leaf, Load)),
        key=lambda strides: sum(bool(step) for step in strides),
        default=row_major(value.shape),
    )
    if any(not step and size > 1 for step, size in zip(largest, value.shape, strict=True)):
        return row_major(value.shape)
    order = sorted(range(len(value.shape)), key=lambda axis: (largest[axis], value.shape[axis]), reverse=True)
    found, dense = [0] * len(order), 1
    for axis in reversed(order):
        found[axis], dense = dense, dense * value.shape[axis]
    return tuple(found)


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _uses(graph: GraphModule) -> dict[Node, int]:
    """How many operations compute with each node, through whatever only looks at it."""
    found: dict[Node, int] = {}
    for node in reversed(graph.graph.nodes):
        found[node] = sum(found[user] if _looks(user) else 1 for user in node.users)
    return found


def _looks(node: Node) -> bool:
    return node.target is operator.getitem or getattr(node.target, "overloadpacket", None) in LOOKS


def _same(translation: Translation, node: Node, value: Any, *_: Any, **kwargs: Any) -> Expression:
    return cast(translation.value_of(value), node.meta["val"].dtype)


def _filled(translation: Translation, node: Node, number: Any) -> Expression:
    value = node.meta["val"]
    return Expression(tuple(value.shape), value.dtype, Number(number, value.dtype))


def _permuted(order: Callable[[int, Sequence[Any]], Sequence[int]]) -> Callable[..., Expression]:
    def method(translation: Translation, node: Node, value: Any, *rest: Any) -> Expression:
        own = translation.value_of(value)
        return own.permuted([axis % len(own.shape) for axis in order(len(own.shape), rest)])

    return method


def _swapped(dims: int, rest: Sequence[Any]) -> list[int]:
    order = list(range(dims))
    one, other = (axis % dims for axis in rest)
    order[one], order[other] = order[other], order[one]
    return order


def _reshaped(translation: Translation, node: Node, value: Any, *_: Any, **__: Any) -> Expression:
    own, shape = translation.value_of(value), tuple(node.meta["val"].shape)
    found = own.reshaped(shape) or translation.stored(own, row_major(own.shape)).reshaped(shape)
    assert found is not None
    return found


def _expanded(translation: Translation, node: Node, value: Any, *_: Any, **__: Any) -> Expression:
    return translation.spread(translation.value_of(value), tuple(node.meta["val"].shape))


def _broadcast(
    translation: Translation, node: Node, value: Any, shape: Sequence[int], axes: Sequence[int]
) -> Expression:
    own = translation.value_of(value)
    if math.prod(shape) > own.numel:
        own = translation.loaded(own) if isinstance(own.element, Apply) else own

    def spread(old: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        steps = [0] * len(shape)
        for here, axis in enumerate(axes):
            steps[axis] = 0 if own.shape[here] == 1 else old[here]
        return 0, tuple(steps)

    return own.seen(tuple(shape), spread)


def _select(translation: Translation, node: Node, value: Any, axis: int = 0, at: int = 0) -> Expression:
    own = translation.value_of(value)
    axis %= len(own.shape)
    at %= own.shape[axis]
    shape = [size for here, size in enumerate(own.shape) if here != axis]
    return own.seen(shape, lambda old: (at * old[axis], tuple(step for here, step in enumerate(old) if here != axis)))


def part(own: Expression, axis: int, first: int, size: int, step: int = 1) -> Expression:
    """A slice of it."""
    shape = [size if here == axis else whole for here, whole in enumerate(own.shape)]
    return own.seen(
        shape,
        lambda old: (
            first * old[axis],
            tuple(stride * step if here == axis else stride for here, stride in enumerate(old)),
        ),
    )


def _slice(
    translation: Translation,
    node: Node,
    value: Any,
    axis: int = 0,
    first: int | None = None,
    last: int | None = None,
    step: int = 1,
) -> Expression:
    own = translation.value_of(value)
    axis %= len(own.shape)
    start = range(own.shape[axis])[slice(first, last, step)].start
    return part(own, axis, start, node.meta["val"].shape[axis], step)


def _split(translation: Translation, node: Node, value: Any, sizes: Any, axis: int = 0) -> tuple[Expression, ...]:
    own, parts, first = translation.value_of(value), [], 0
    axis %= len(own.shape)
    for piece in node.meta["val"]:
        parts.append(part(own, axis, first, piece.shape[axis]))
        first += piece.shape[axis]
    return tuple(parts)


def _unbind(translation: Translation, node: Node, value: Any, axis: int = 0) -> tuple[Expression, ...]:
    count = translation.value_of(value).shape[axis]
    return tuple(_select(translation, node, value, axis, at) for at in range(count))


def _flip(translation: Translation, node: Node, value: Any, axes: Sequence[int]) -> Expression:
    own = translation.value_of(value)
    turned = {axis % len(own.shape) for axis in axes}
    return own.seen(
        own.shape,
        lambda old: (
            sum((own.shape[axis] - 1) * old[axis] for axis in turned),
            tuple(-step if axis in turned else step for axis, step in enumerate(old)),
        ),
    )


def _diagonal(
    translation: Translation, node: Node, value: Any, offset: int = 0, one: int = 0, other: int = 1
) -> Expression:
    return diagonal(translation.value_of(value), offset, one, other)


def _diagonal_scatter(
    translation: Translation, node: Node, value: Any, source: Any, offset: int = 0, one: int = 0, other: int = 1
) -> Expression:
    own = translation.copied(translation.value_of(value))
    translation.add(Store(diagonal(own, offset, one, other), translation.value_of(source)))
    return own


def diagonal(own: Expression, offset: int, one: int, other: int) -> Expression:
    """Elements (i, i + offset) of two axes, as a new last axis."""
    one, other = one % len(own.shape), other % len(own.shape)
    rest = [axis for axis in range(len(own.shape)) if axis not in (one, other)]
    size = min(own.shape[one] + min(offset, 0), own.shape[other] - max(offset, 0))
    return own.seen(
        (*(own.shape[axis] for axis in rest), size),
        lambda old: (
            offset * old[other] if offset > 0 else -offset * old[one],
            (*(old[axis] for axis in rest), old[one] + old[other]),
        ),
    )


def _joined(translation: Translation, node: Node, values: Sequence[Any], axis: int = 0) -> Expression:
    value = node.meta["val"]
    shape, axis = tuple(value.shape), axis % value.ndim
    parts = [translation.of(each, value.dtype) for each in values if each.meta["val"].numel()]
    whole, first = Expression.of(Buffer(value.numel(), value.dtype), shape), 0
    for each in parts:
        translation.add(Store(part(whole, axis, first, each.shape[axis]), each))
        first += each.shape[axis]
    return whole


def _sum(
    translation: Translation, node: Node, value: Any, axes: Any = None, keeps: bool = False, **_: Any
) -> Expression:
    own = translation.of(value, node.meta["val"].dtype)
    axes = [axes] if isinstance(axes, int) else axes
    return translation.folded(own, axes or range(len(own.shape)), keeps, SUM)


def _mean(
    translation: Translation, node: Node, value: Any, axes: Any = None, keeps: bool = False, **_: Any
) -> Expression:
    own = translation.of(value, node.meta["val"].dtype)
    axes = [axes] if isinstance(axes, int) else axes
    axes = list(axes or range(len(own.shape)))
    count = math.prod(own.shape[axis] for axis in axes)
    return translation.folded(own, axes, keeps, ("0", "{0} + {1}", f"{{0}} / {count}"))


def _extreme(comparison: str) -> Callable[..., Expression]:
    def method(translation: Translation, node: Node, value: Any, axes: Any = (), keeps: bool = False) -> Expression:
        own = translation.loaded(translation.value_of(value))
        if not own.dtype.is_floating_point:
            raise UncoveredError("the largest of whole numbers")
        axes = [axes] if isinstance(axes, int) else axes
        nothing = f"{'-' if comparison == '>' else ''}__builtin_inff()"
        step = f"({{1}} {comparison} {{0}} || {{1}} != {{1}} ? {{1}} : {{0}})"
        return translation.folded(own, axes or range(len(own.shape)), keeps, (nothing, step, "{0}"))

    return method


def _whether(operation: str, start: str) -> Callable[..., Expression]:
    def method(translation: Translation, node: Node, value: Any, axes: Any = None, keeps: bool = False) -> Expression:
        own = translation.of(value, torch.bool)
        axes = [axes] if isinstance(axes, int) else axes
        fold = (start, f"({{0}} {operation} {{1}})", "{0}")
        return translation.folded(own, axes or range(len(own.shape)), keeps, fold)

    return method


def _batched(value: Expression) -> Expression:
    """Matrices [batch, rows, columns]."""
    found = value.reshaped((math.prod(value.shape[:-2]), *value.shape[-2:]))
    assert found is not None
    return found


def _cholesky(
    translation: Translation, node: Node, value: Any, *, upper: bool = False, **_: Any
) -> tuple[Expression, Expression]:
    """Beside the factor whether there was none, which nobody asks: it is NaN then."""
    own = translation.loaded(translation.value_of(value))
    target = Expression.of(Buffer(own.numel, own.dtype), own.shape)
    translation.add(Factor(_batched(target), _batched(own)))
    if upper:
        dims = range(len(own.shape))
        target = target.permuted([*dims[:-2], dims[-1], dims[-2]])
    return target, Expression(own.shape[:-2], torch.int32, Number(0, torch.int32))


def _solve_triangular(
    translation: Translation,
    node: Node,
    matrix: Any,
    right: Any,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Expression:
    return solved(translation, translation.value_of(matrix), translation.value_of(right), upper, left, unitriangular)


def solved(
    translation: Translation, matrix: Expression, right: Expression, upper: bool, left: bool = True, unit: bool = False
) -> Expression:
    """X of matrix · X = right; of X · matrix = right where not `left`."""
    if not left:
        one, other = (_turned(side) for side in (matrix, right))
        return _turned(solved(translation, one, other, not upper, True, unit))
    batch = torch.broadcast_shapes(matrix.shape[:-2], right.shape[:-2])
    matrix = translation.loaded(matrix).expanded((*batch, *matrix.shape[-2:]))
    target = translation.copied(translation.spread(right, (*batch, *right.shape[-2:])))
    whole = matrix.reshaped((math.prod(batch), *matrix.shape[-2:]))
    if whole is None:
        whole = _batched(translation.copied(matrix))
    translation.add(Solution(_batched(target), whole, upper, unit))
    return target


def _turned(value: Expression) -> Expression:
    dims = range(len(value.shape))
    return value.permuted([*dims[:-2], dims[-1], dims[-2]])


def _cholesky_solve(translation: Translation, node: Node, right: Any, factor: Any, upper: bool = False) -> Expression:
    own = translation.value_of(factor)
    lower = _turned(own) if upper else own
    between = solved(translation, lower, translation.value_of(right), False)
    return solved(translation, _turned(lower), between, True)


def _mm(translation: Translation, node: Node, left: Any, right: Any) -> Expression:
    return _unbatched(translation.product(*(_batch_of_one(translation.value_of(side)) for side in (left, right))))


def _addmm(
    translation: Translation, node: Node, start: Any, left: Any, right: Any, *, beta: Any = 1, alpha: Any = 1
) -> Expression:
    if beta != 1 or alpha != 1:
        raise UncoveredError("addmm with factors")
    sides = (_batch_of_one(translation.value_of(side)) for side in (left, right))
    shape = tuple(node.meta["val"].shape)
    return _unbatched(translation.product(*sides, _batch_of_one(translation.value_of(start).expanded(shape))))


def _bmm(translation: Translation, node: Node, left: Any, right: Any) -> Expression:
    return translation.product(translation.value_of(left), translation.value_of(right))


def _batch_of_one(value: Expression) -> Expression:
    return value.seen((1, *value.shape), lambda old: (0, (0, *old)))


def _unbatched(value: Expression) -> Expression:
    return value.seen(value.shape[1:], lambda old: (0, old[1:]))


def _arange(translation: Translation, node: Node, *args: Any, **_: Any) -> Expression:
    start, step = (args[0] if len(args) > 1 else 0), (args[2] if len(args) > 2 else 1)
    value = node.meta["val"]
    if not isinstance(start, int) or not isinstance(step, int):
        raise UncoveredError("arange of fractions")
    whole = Expression(tuple(value.shape), torch.int64, Position(start, (step,)))
    return cast(whole, value.dtype)


def _var(
    translation: Translation,
    node: Node,
    value: Any,
    axes: Any = None,
    correction: float = 1,
    keepdim: bool = False,
    **kwargs: Any,
) -> Expression:
    return _var_mean(translation, node, value, axes, correction, keepdim, **kwargs)[0]


def _var_mean(
    translation: Translation,
    node: Node,
    value: Any,
    axes: Any = None,
    correction: float = 1,
    keepdim: bool = False,
    **kwargs: Any,
) -> tuple[Expression, Expression]:
    own = translation.loaded(translation.value_of(value))
    axes = list(range(len(own.shape)) if axes is None else axes)
    count = math.prod(own.shape[axis] for axis in axes)
    mean = translation.folded(own, axes, True, ("0", SUM[1], f"{{0}} / {count}"))
    off = Apply("({0} - {1})", (own.element, mean.expanded(own.shape).element), own.dtype)
    squares = Expression(own.shape, own.dtype, Apply("({0} * {0})", (off,), own.dtype))
    left = count - kwargs.get("correction", correction)
    variance = translation.folded(squares, axes, keepdim, ("0", SUM[1], f"{{0}} / {left}"))
    kept = variance.shape
    found = mean.reshaped(kept)
    assert found is not None
    return variance, found


def _gather(translation: Translation, node: Node, value: Any, axis: int, index: Any, **_: Any) -> Expression:
    own, at = translation.loaded(translation.value_of(value)), translation.of(index, torch.int64)
    axis %= max(1, len(own.shape))
    around = own.seen(at.shape, lambda old: (0, tuple(0 if here == axis else step for here, step in enumerate(old))))
    return _picked(around, [(own, axis, at)])


def _picked(around: Expression, indices: Sequence[tuple[Expression, int, Expression]]) -> Expression:
    """Numbers that lie in memory, at indices; NaN (or 0) where an index is beyond it.

    Args:
        around: what it is at index 0.
        indices: what lies in memory, an axis of it, and the indices along that axis, as large as `around`.
    """
    nothing = '__builtin_nan("")' if around.dtype.is_floating_point else "0"
    inside, place = _spot(indices)
    element = Apply(
        f"({inside} ? {place} : {nothing})", (around.element, *(at.element for *_, at in indices)), around.dtype
    )
    return Expression(around.shape, around.dtype, element)


def _spot(indices: Sequence[tuple[Expression, int, Expression]]) -> tuple[str, str]:
    """In C, whether indices {1}, {2}, … are within what lies in memory from {0} on, and the number that is there."""
    inside, steps = [], []
    for number, (own, axis, _) in enumerate(indices, 1):
        assert isinstance(own.element, Load)
        size, step = own.shape[axis], own.element.strides[axis]
        inside.append(f"{{{number}}} >= {-size} && {{{number}}} < {size}")
        steps.append(f"{step} * ({{{number}}} < 0 ? {{{number}}} + {size} : {{{number}}})")
    return f"({' && '.join(inside)})", f"(&{{0}})[{' + '.join(steps)}]"


def _index_select(translation: Translation, node: Node, value: Any, axis: int, index: Any) -> Expression:
    own = translation.value_of(value)
    indices: list[Any] = [None] * len(own.shape)
    indices[axis % len(own.shape)] = index
    return _index(translation, node, value, indices)


def _index(translation: Translation, node: Node, value: Any, indices: Sequence[Any]) -> Expression:
    own = translation.loaded(translation.value_of(value))
    around, spots = _spots(translation, own, indices, tuple(node.meta["val"].shape))
    return _picked(around, spots)


def _spots(
    translation: Translation, own: Expression, indices: Sequence[Any], shape: Sequence[int]
) -> tuple[Expression, list[tuple[Expression, int, Expression]]]:
    """What lies in memory at index 0, and where the indices of `tensor[indices]` are, both in the result's shape."""
    indices = [*indices, *[None] * (len(own.shape) - len(indices))]
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    if any(indices[axis].meta["val"].dtype in (torch.bool, torch.uint8) for axis in axes):
        raise UncoveredError("an index of conditions")
    given = [translation.of(indices[axis], torch.int64) for axis in axes]
    common = torch.broadcast_shapes(*(at.shape for at in given))
    together = axes == list(range(axes[0], axes[0] + len(axes)))
    first = axes[0] if together else 0
    rest = [axis for axis in range(len(own.shape)) if axis not in axes]
    before = [axis for axis in rest if axis < first]
    after = [axis for axis in rest if axis >= first] if together else rest
    around = own.seen(
        shape, lambda old: (0, (*(old[axis] for axis in before), *(0 for _ in common), *(old[axis] for axis in after)))
    )
    spread = [
        at.expanded(common).seen(shape, lambda old: (0, (*(0 for _ in before), *old, *(0 for _ in after))))
        for at in given
    ]
    return around, [(own, axis, at) for axis, at in zip(axes, spread, strict=True)]


def _scattered(adds: bool) -> Callable[..., Expression]:
    def method(
        translation: Translation, node: Node, value: Any, axis: int, index: Any, source: Any, **_: Any
    ) -> Expression:
        own, at = translation.copied(translation.value_of(value)), translation.of(index, torch.int64)
        axis %= max(1, len(own.shape))
        around = own.seen(
            at.shape, lambda old: (0, tuple(0 if here == axis else step for here, step in enumerate(old)))
        )
        if isinstance(source, Node):
            more = translation.value_of(source)
            for here, size in enumerate(at.shape):
                more = part(more, here, 0, size)
        else:
            more = translation.of(source, own.dtype, at.shape)
        translation.scatter(around, [(own, axis, at)], more, adds)
        return own

    return method


def _index_put(
    translation: Translation, node: Node, value: Any, indices: Sequence[Any], source: Any, adds: bool = False
) -> Expression:
    own, more = translation.copied(translation.value_of(value)), translation.of(source, node.meta["val"].dtype)
    axes = [index for index in indices if index is not None]
    common = torch.broadcast_shapes(*(index.meta["val"].shape for index in axes))
    places = [
        axis for axis, index in enumerate([*indices, *[None] * (len(own.shape) - len(indices))]) if index is not None
    ]
    rest = [axis for axis in range(len(own.shape)) if axis not in places]
    first = places[0] if places == list(range(places[0], places[0] + len(places))) else 0
    before = [own.shape[axis] for axis in rest if axis < first]
    shape = (*before, *common, *[own.shape[axis] for axis in rest if axis >= first])
    around, spots = _spots(translation, own, indices, shape)
    translation.scatter(around, spots, more.expanded(shape), adds)
    return own


_t = _permuted(lambda dims, rest: [0] if dims == 1 else [1, 0] if dims else [])
METHODS: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys([aten.detach, aten.alias, aten.clone, aten._to_copy, aten.lift_fresh_copy], _same),
    aten.t: _t,
    aten.transpose: _permuted(_swapped),
    aten.permute: _permuted(lambda dims, rest: rest[0]),
    **dict.fromkeys(
        [aten.view, aten._unsafe_view, aten.reshape, aten.unsqueeze, aten.squeeze, torch.ops.prims.squeeze], _reshaped
    ),
    aten.expand: _expanded,
    torch.ops.prims.broadcast_in_dim: _broadcast,
    aten.select: _select,
    aten.slice: _slice,
    **dict.fromkeys([aten.split_with_sizes, aten.split], _split),
    aten.unbind: _unbind,
    aten.flip: _flip,
    aten.diagonal: _diagonal,
    aten.diagonal_scatter: _diagonal_scatter,
    aten.cat: _joined,
    aten.zeros_like: lambda t, node, *_, **__: _filled(t, node, 0),
    aten.zeros: lambda t, node, *_, **__: _filled(t, node, 0),
    aten.new_zeros: lambda t, node, *_, **__: _filled(t, node, 0),
    aten.ones_like: lambda t, node, *_, **__: _filled(t, node, 1),
    aten.ones: lambda t, node, *_, **__: _filled(t, node, 1),
    aten.new_ones: lambda t, node, *_, **__: _filled(t, node, 1),
    aten.full_like: lambda t, node, _, number, **__: _filled(t, node, number),
    aten.full: lambda t, node, _, number, **__: _filled(t, node, number),
    aten.new_full: lambda t, node, _, __, number, **___: _filled(t, node, number),
    aten.scalar_tensor: lambda t, node, number, **__: _filled(t, node, number),
    aten.arange: _arange,
    **dict.fromkeys([aten.sum, torch.ops.prims.sum], _sum),
    aten.mean: _mean,
    aten.amax: _extreme(">"),
    aten.amin: _extreme("<"),
    aten.any: _whether("||", "0"),
    aten.all: _whether("&&", "1"),
    **dict.fromkeys([aten.var, torch.ops.prims.var], _var),
    aten.var_mean: _var_mean,
    aten.gather: _gather,
    aten.index_select: _index_select,
    aten.index: _index,
    aten.scatter: _scattered(adds=False),
    aten.scatter_add: _scattered(adds=True),
    aten.index_put: _index_put,
    aten.linalg_cholesky_ex: _cholesky,
    aten.linalg_solve_triangular: _solve_triangular,
    aten.cholesky_solve: _cholesky_solve,
    aten.mm: _mm,
    aten.addmm: _addmm,
    aten.bmm: _bmm,
}
LOOKS = frozenset(
    [
        aten.detach, aten.alias, aten.t, aten.transpose, aten.permute, aten.view, aten._unsafe_view, aten.reshape, aten.unsqueeze,
        aten.squeeze, aten.expand, aten.select, aten.slice, aten.clone, torch.ops.prims.squeeze, aten.split_with_sizes, aten.split,
    ]
)  # fmt: skip
"""What only looks at a tensor, and computes nothing."""
