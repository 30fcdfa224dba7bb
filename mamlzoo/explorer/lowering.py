"""Programs of a page: a few kinds of instructions that its interpreter knows, over tensors of static shapes.

A value lies in a buffer, dense, and is seen through strides: what only looks at it in another way costs nothing. What
follows from nothing that the page is given, as an algorithm's random numbers, is computed here and held.

An operand is a number, or [buffer, offset, stride, …] with a stride for each axis of what is computed. Instructions are

    ["map", f, target, shape, operand, …]               target ← f(operands), element by element
    ["fold", f, target, shape, folded, operand]         target ← the fold of the operand over its last, folded axes
    ["mm", target, [m, k, n], left, right]              target ← left [m, k] · right [k, n]
    ["cholesky", target, n, operand]                    target ← L with L·Lᵀ = operand; NaN where there is none
    ["solve", target, [n, m], isUpper, isUnit, A, B]    target ← X with A·X = B, A triangular
    ["take", target, positions, source]                 target ← the numbers at these positions of a buffer
    ["pick", target, shape, stride, operand, places]    target ← the numbers so many strides beyond the operand's
    ["sort", target, order, [rows, n], isDescending, operand]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from mamlzoo.errors import UsageError
from mamlzoo.explorer.numbers import Pool

Operand = float | list[int]
MOST_MATRICES = 64
"""A product of more matrices is too long to be written matrix by matrix."""


class UncoveredError(UsageError):
    """A graph holds what no page can compute."""


class Seen:
    """A value that the page computes.

    Attributes:
        buffer: its number.
        view: its shape and strides, of a tensor without memory.
    """

    def __init__(self, buffer: int, view: Tensor) -> None:
        self.buffer, self.view = buffer, view

    @property
    def shape(self) -> list[int]:
        """Its shape."""
        return list(self.view.shape)

    def operand(self, shape: Sequence[int] | None = None) -> list[int]:
        """Itself, broadcast to a shape."""
        view = self.view if shape is None else self.view.expand(tuple(shape))
        return [self.buffer, int(view.storage_offset()), *view.stride()]


Value = Seen | Tensor | tuple[Any, ...]
"""What a node is: computed by the page, known already, or several of these."""


class Lowering:
    """Writes the instructions of one program."""

    def __init__(self, pool: Pool, inputs: Sequence[Tensor]) -> None:
        self.code: list[list[Any]] = []
        self.pool = pool
        self._sizes: list[int] = []
        self._held: dict[int, Seen] = {}
        self.values: dict[Node, Value] = {}
        self.inputs = [self.new(each.shape) for each in inputs]

    def new(self, shape: Sequence[int]) -> Seen:
        """A buffer of its own."""
        self._sizes.append(math.prod(shape))
        return Seen(len(self._sizes) - 1, torch.empty(tuple(shape), device="meta"))

    def size(self, value: Seen) -> int:
        """How many numbers its buffer holds."""
        return self._sizes[value.buffer]

    def seen(self, value: Value | float) -> Seen:
        """A value in a buffer."""
        if isinstance(value, Seen):
            return value
        tensor = value if isinstance(value, Tensor) else torch.tensor(value)
        assert isinstance(tensor, Tensor)
        number = self.pool.array(tensor)
        if number not in self._held:
            self._held[number] = self.new(tensor.shape)
        held = self._held[number]
        return Seen(held.buffer, held.view.reshape(tensor.shape))

    def of(self, argument: Any) -> Any:
        """An argument of a node: values in place of nodes."""
        if isinstance(argument, Node):
            return self.values[argument]
        if isinstance(argument, (list, tuple)):
            return [self.of(each) for each in argument]
        return argument

    def map(self, function: str, shape: Sequence[int], *operands: Value | float) -> Seen:
        """A function of every element."""
        target = self.new(shape)
        self.put(function, target, *operands)
        return target

    def put(self, function: str, target: Seen, *operands: Value | float) -> None:
        """A function of every element into what a target sees."""
        self.code.append(
            [
                "map",
                function,
                target.operand(),
                target.shape,
                *(self._broadcast(each, target.shape) for each in operands),
            ]
        )

    def _broadcast(self, value: Value | float, shape: Sequence[int]) -> Operand:
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, (bool, int, float)) and math.isfinite(value):
            return float(value)
        return self.seen(value).operand(shape)

    def fold(self, function: str, value: Value, axes: Sequence[int], keeps: bool) -> Seen:
        """The fold of a value over some axes."""
        value = self.seen(value)
        count = len(value.shape)
        gone = sorted({axis % max(1, count) for axis in (axes or range(count))}) if count else []
        kept = [axis for axis in range(count) if axis not in gone]
        shape, folded = [value.shape[at] for at in kept], [value.shape[at] for at in gone]
        target = self.new(shape)
        ordered = Seen(value.buffer, value.view.permute([*kept, *gone]))
        self.code.append(["fold", function, target.buffer, shape, folded, ordered.operand()])
        ones = [1 if axis in gone else size for axis, size in enumerate(value.shape)]
        return Seen(target.buffer, target.view.reshape(ones)) if keeps else target

    def matrices(self, left: Value, right: Value) -> Seen:
        """The products of matrices [batch, m, k] and [batch, k, n]."""
        left, right = self.seen(left), self.seen(right)
        (batch, m, k), n = left.shape, right.shape[-1]
        _check_few(batch)
        target = self.new([batch, m, n])
        for at in range(batch):
            sides = (Seen(side.buffer, side.view[at]) for side in (left, right))
            own = target.view[at]
            self.code.append(
                ["mm", [target.buffer, int(own.storage_offset())], [m, k, n], *(side.operand() for side in sides)]
            )
        return target

    def looked(self, look: Callable[..., Any], args: Sequence[Any], keywords: dict[str, Any]) -> Value:
        """A value in another way; copied first, where it needs a denser one."""
        value, *others = args
        try:
            found = look(value.view, *others, **keywords)
        except RuntimeError:
            value = self.copied(value)
            found = look(value.view, *others, **keywords)
        if isinstance(found, (list, tuple)):
            return tuple(Seen(value.buffer, each) for each in found)
        return Seen(value.buffer, found)

    def copied(self, value: Value) -> Seen:
        """A value in a dense buffer of its own."""
        value = self.seen(value)
        return self.map("copy", value.shape, value)

    def document(self, outputs: Sequence[Value]) -> dict[str, Any]:
        """The program as JSON: sizes of buffers, those of the inputs, what is held, instructions, outputs."""
        found = []
        for each in outputs:
            value = self.seen(each)
            is_all = value.view.is_contiguous() and value.view.numel() == self.size(value)
            found.append((value if is_all else self.copied(value)).buffer)
        return {
            "sizes": self._sizes,
            "inputs": [each.buffer for each in self.inputs],
            "held": [[held.buffer, number] for number, held in self._held.items()],
            "code": self.code,
            "outputs": found,
        }


def _check_few(matrices: int) -> None:
    if matrices > MOST_MATRICES:
        raise UncoveredError(f"products of {matrices} matrices at once are too many for a page")
