"""Convolutions and their derivatives; of each other they are the derivatives, too.

Three sums over windows are closed under differentiation: the convolution y of x by w, the derivative of Σ y·g by w, and
that by x, which is a convolution of g, spread by the stride, by the weights turned round. So the second derivatives
that torch composes of convolutions are here: one whose window is larger than its result is a derivative by weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.fx import Node

from mamlzoo.engine.native.expressions import Buffer, Expression, Load, Number, row_major
from mamlzoo.engine.native.operations.views import flipped, part
from mamlzoo.engine.native.statements.convolutions import Convolution, WeightGradient, Window
from mamlzoo.engine.native.statements.loops import Store
from mamlzoo.engine.native.writer import SUM, Operation, UncoveredError, Writer, added

aten = torch.ops.aten
Pair = tuple[int, int]


class _Way(NamedTuple):
    """How a convolution goes through images, by height and width."""

    stride: Pair
    padding: Pair
    dilation: Pair
    flat: bool

    @classmethod
    def of(cls, dims: int, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int) -> _Way:
        """As torch gives it, of images or of rows of numbers.

        Raises:
            UncoveredError: it is another one.
        """
        if dims not in (3, 4) or groups != 1:
            raise UncoveredError("a convolution of volumes or of groups")
        return cls(_pair(stride, dims, 1), _pair(padding, dims, 0), _pair(dilation, dims, 1), dims == 3)

    def seen(self, value: Expression) -> Expression:
        """A row of numbers as an image."""
        return value.seen((*value.shape[:2], 1, value.shape[2]), _heightened) if self.flat else value

    def given(self, value: Expression) -> Expression:
        """And back."""
        return value.seen((*value.shape[:2], value.shape[3]), _flattened) if self.flat else value


def _pair(numbers: Sequence[int], dims: int, rest: int) -> Pair:
    """For a convolution of rows, of height 1; a single number is of all axes."""
    given = [*numbers] if len(numbers) == dims - 2 else [*numbers] * (dims - 2)
    height, width = given if dims == 4 else (rest, *given)
    return height, width


def _heightened(old: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return 0, (*old[:2], 0, old[2])


def _flattened(old: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return 0, (*old[:2], old[3])


LAST = [0, 2, 3, 1]
"""Channels of images [n, c, h, w] last."""
FIRST = [0, 3, 1, 2]


def _padded(writer: Writer, images: Expression, before: Pair, size: Pair, step: Pair = (1, 1)) -> Expression:
    """Images [n, h, w, c] within larger ones of that height and width, a step apart, their channels dense."""
    count, *own, channels = images.shape
    if before == (0, 0) and step == (1, 1) and all(here >= there for here, there in zip(own, size, strict=True)):
        return images if _dense_channels(images) else writer.copied(images)
    shape = (count, *size, channels)
    whole = writer.copied(_zero(shape, images.dtype))
    inside = whole
    for axis in (1, 2):
        fits = -(-(size[axis - 1] - before[axis - 1]) // step[axis - 1])  # a stride may leave some out
        taken = min(own[axis - 1], fits)
        inside = part(inside, axis, before[axis - 1], taken, step[axis - 1])
        images = part(images, axis, 0, taken)
    writer.add(Store(inside, images))
    return whole


def _dense_channels(images: Expression) -> bool:
    load = images.element
    return isinstance(load, Load) and (images.shape[-1] == 1 or load.strides[-1] == 1)


def _dense(writer: Writer, value: Expression) -> Expression:
    """In memory, without gaps."""
    load = value.element
    return value if isinstance(load, Load) and load.strides == row_major(value.shape) else writer.copied(value)


def _zero(shape: Sequence[int], dtype: torch.dtype) -> Expression:
    return Expression(tuple(shape), dtype, Number(0, dtype))


def _new(shape: Sequence[int], like: Expression) -> Expression:
    size = torch.Size(shape)
    return Expression.of(Buffer(size.numel(), like.dtype), size)


def _by_weights(writer: Writer, x: Expression, w: Expression, bias: Expression, pixels: Pair, way: _Way) -> Expression:
    """The convolution [n, o, *pixels] of x [n, c, h, w] by w [o, c, i, j], from a bias [o] on."""
    size: Pair = w.shape[2:]  # type: ignore[assignment]
    window = Window(size, way.stride, way.dilation)
    images = _padded(writer, x.permuted(LAST), way.padding, window.span(pixels))
    target = _new((x.shape[0], *pixels, w.shape[0]), x)
    writer.add(Convolution(target, images, _dense(writer, w.permuted([2, 3, 1, 0])), window, _dense(writer, bias)))
    return target.permuted(FIRST)


def _by_images(writer: Writer, g: Expression, w: Expression, pixels: Pair, way: _Way) -> Expression:
    """The derivative [n, c, *pixels] of Σ y·g by x, of a convolution by w [o, c, i, j] that gives g [n, o, h, w].

    x at h is in the windows of s·h' − padding + d·i = h: what a convolution by the weights turned round gives, of g
    with s − 1 zeros between its rows and as many before as a window reaches beyond the padding.
    """
    size: Pair = w.shape[2:]  # type: ignore[assignment]
    window = Window(size, (1, 1), way.dilation)
    before = tuple(d * (k - 1) - p for d, k, p in zip(way.dilation, size, way.padding, strict=True))
    if min(before) < 0:
        raise UncoveredError("a padding larger than the window")
    images = _padded(writer, g.permuted(LAST), before, window.span(pixels), way.stride)  # type: ignore[arg-type]
    target = _new((g.shape[0], *pixels, w.shape[1]), g)
    turned = flipped(w, {2, 3})
    nothing = writer.copied(_zero(w.shape[1:2], g.dtype))
    writer.add(Convolution(target, images, _dense(writer, turned.permuted([2, 3, 0, 1])), window, nothing))
    return target.permuted(FIRST)


def _of_weights(writer: Writer, x: Expression, g: Expression, size: Pair, way: _Way) -> Expression:
    """The derivative [o, c, *size] of Σ y·g by w, of a convolution of x [n, c, h, w] that gives g [n, o, h, w]."""
    pixels: Pair = g.shape[2:]  # type: ignore[assignment]
    window = Window(size, way.stride, way.dilation)
    images = _padded(writer, x.permuted(LAST), way.padding, window.span(pixels))
    target = _new((*size, x.shape[1], g.shape[1]), x)
    writer.add(WeightGradient(target, images, _dense(writer, g.permuted(LAST)), window))
    return target.permuted([3, 2, 0, 1])


def _convolution(
    writer: Writer,
    node: Node,
    x: Any,
    w: Any,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    turned: bool,
    _: Any,
    groups: int,
) -> Expression:
    way = _Way.of(node.meta["val"].ndim, stride, padding, dilation, groups)
    images, weights = way.seen(writer.loaded(writer.value(x))), way.seen(writer.loaded(writer.value(w)))
    pixels: Pair = way.seen(_zero(node.meta["val"].shape, images.dtype)).shape[2:]  # type: ignore[assignment]
    own = None if bias is None else writer.loaded(writer.value(bias))
    if not turned and weights.shape[2] * weights.shape[3] <= pixels[0] * pixels[1]:
        start = _zero(weights.shape[:1], images.dtype) if own is None else own
        return way.given(_by_weights(writer, images, weights, start, pixels, way))
    if turned:
        found = _by_images(writer, images, weights, pixels, way)
    else:  # Σ over the images' windows: strides and dilations, examples and channels change places.
        swapped = way._replace(stride=way.dilation, dilation=way.stride)
        one, other = (side.permuted([1, 0, 2, 3]) for side in (images, weights))
        found = _of_weights(writer, one, other, pixels, swapped).permuted([1, 0, 2, 3])
    if own is not None:
        found = added(found, own.seen(found.shape, lambda old: (0, (0, *old, 0, 0))))
    return way.given(found)


def _derivatives(
    writer: Writer,
    node: Node,
    g: Any,
    x: Any,
    w: Any,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    turned: bool,
    _: Any,
    groups: int,
    wanted: Sequence[bool],
) -> tuple[Expression, ...]:
    """By x, w and the bias, as far as they are wanted."""
    given = writer.value(x)
    way = _Way.of(len(given.shape), stride, padding, dilation, groups)
    out, images, weights = (way.seen(writer.loaded(writer.value(each))) for each in (g, x, w))
    nothing = _zero((), images.dtype)
    by_x, by_w, by_bias = nothing, nothing, nothing
    size: Pair = weights.shape[2:]  # type: ignore[assignment]
    pixels: Pair = images.shape[2:]  # type: ignore[assignment]
    if wanted[1]:
        # A transposed convolution is the derivative by images of another: there x and g change places.
        one, other = (out, images) if turned else (images, out)
        by_w = way.given(_of_weights(writer, one, other, size, way))
    if wanted[0] and turned:
        by_x = way.given(_by_weights(writer, out, weights, _zero(weights.shape[:1], out.dtype), pixels, way))
    elif wanted[0]:
        by_x = way.given(_by_images(writer, out, weights, pixels, way))
    if wanted[2]:
        by_bias = writer.folded(out, [0, 2, 3], SUM)
    return by_x, by_w, by_bias


OPERATIONS: dict[Any, Operation] = {aten.convolution: _convolution, aten.convolution_backward: _derivatives}
