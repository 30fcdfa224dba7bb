"""The largest and the mean of windows of images: windows are axes, which look at the images without copying them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import Node

from mamlzoo.engine.native.expressions import Apply, Buffer, Expression, Number, Position
from mamlzoo.engine.native.operations.folds import extreme
from mamlzoo.engine.native.operations.indexing import along
from mamlzoo.engine.native.operations.views import part
from mamlzoo.engine.native.statements.loops import Store
from mamlzoo.engine.native.writer import Folding, Operation, UncoveredError, Writer, mean_of

aten = torch.ops.aten
Pair = tuple[int, int]


def _pair(numbers: Sequence[int]) -> Pair:
    height, width = [*numbers] if len(numbers) == 2 else [*numbers] * 2
    return height, width


def _windows(images: Expression, pixels: Pair, size: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Expression:
    """[n, c, *pixels, *size] of images [n, c, H, W]: what is in the window of each pixel."""

    def look(old: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        *lead, high, wide = old
        return 0, (*lead, high * stride[0], wide * stride[1], high * dilation[0], wide * dilation[1])

    return images.seen((*images.shape[:2], *pixels, *size), look)


def _places(shape: Sequence[int], wide: int, first: int = 0) -> Expression:
    """Which number of its plane, so wide, each one of images is; the first of them is that one."""
    return Expression(tuple(shape), torch.int64, Position(first, (0, 0, wide, 1)))


def _framed(writer: Writer, images: Expression, padding: Pair, number: float) -> Expression:
    """Images with that number around them."""
    if padding == (0, 0):
        return writer.loaded(images)
    count, channels, high, wide = images.shape
    shape = (count, channels, high + 2 * padding[0], wide + 2 * padding[1])
    whole = writer.copied(Expression(shape, images.dtype, Number(number, images.dtype)))
    inside = part(part(whole, 2, padding[0], high), 3, padding[1], wide)
    writer.add(Store(inside, images))
    return whole


def _folded(writer: Writer, windows: Expression, folding: Folding) -> Expression:
    """Each window [n, c, h, w, i, j] as one number, in memory where channels are dense."""
    return writer.folded(windows.permuted([0, 2, 3, 1, 4, 5]), [4, 5], folding).permuted([0, 3, 1, 2])


def _largest(
    writer: Writer,
    node: Node,
    value: Any,
    size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    reaches_over: bool = False,
) -> tuple[Expression, Expression]:
    """The largest of each window, and the first place in its plane where it, or else NaN, is."""
    own, like = writer.value(value), node.meta["val"][0]
    if like.ndim != 4 or reaches_over or not like.dtype.is_floating_point:
        raise UncoveredError("pooling of volumes, beyond an image, or of whole numbers")
    pair, pixels, before = _pair(size), (like.shape[2], like.shape[3]), _pair(padding)
    way = pair, _pair(stride or size), _pair(dilation)
    images = _framed(writer, own, before, -math.inf)
    seen = _windows(images, pixels, *way)
    largest = _folded(writer, seen, extreme(">"))

    wide = own.shape[3]
    places = _windows(_places(images.shape, wide, -before[0] * wide - before[1]), pixels, *way)
    there = largest.seen(seen.shape, lambda old: (0, (*old, 0, 0)))
    nowhere = Number(torch.iinfo(torch.int64).max, torch.int64)
    found = Apply(
        "choose({0} == {1} || {0} != {0}, {2}, {3})",
        (seen.element, there.element, places.element, nowhere),
        torch.int64,
    )
    nearest = Folding(f"{nowhere.value}L", "choose({1} < {0}, {1}, {0})")
    return largest, _folded(writer, Expression(seen.shape, torch.int64, found), nearest)


def _from_largest(
    writer: Writer,
    node: Node,
    gradient: Any,
    value: Any,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    reaches_over: bool,
    indices: Any,
) -> Expression:
    """To where the largest was."""
    like = node.meta["val"]
    if like.ndim != 4:
        raise UncoveredError("pooling of volumes")
    given, places = writer.loaded(writer.value(gradient)), writer.loaded(writer.value(indices))
    (high, wide), steps, pixels = _pair(size), _pair(stride or size), (given.shape[2], given.shape[3])
    alone = steps[0] >= high and steps[1] >= wide and _pair(padding) == (0, 0) and _pair(dilation) == (1, 1)
    full = like.shape[2:] == (pixels[0] * high, pixels[1] * wide) and steps == (high, wide)
    target = _channels_last(like)
    if not (alone and full):
        writer.add(Store(target, Expression(target.shape, target.dtype, Number(0, target.dtype))))
    if not alone:  # a number may be the largest of several windows
        flat = writer.reshaped(target, (*like.shape[:2], like.shape[2] * like.shape[3]))
        spots = [each.reshaped((*like.shape[:2], pixels[0] * pixels[1])) for each in (given, places)]
        if None in spots:
            raise UncoveredError("windows that lie in another way")
        along(flat, 2, spots[1]).write(writer, spots[0], adds=True)  # type: ignore[arg-type]
        return target
    where = _windows(_places(target.shape, target.shape[3]), pixels, (high, wide), steps)
    spread, at = (each.seen(where.shape, lambda old: (0, (*old, 0, 0))) for each in (given, places))
    zero = Number(0, target.dtype)
    chosen = Apply("choose({0} == {1}, {2}, {3})", (at.element, where.element, spread.element, zero), target.dtype)
    writer.add(Store(_windows(target, pixels, (high, wide), steps), Expression(where.shape, target.dtype, chosen)))
    return target


def _channels_last(like: torch.Tensor) -> Expression:
    """New memory for images, their channels dense."""
    _, channels, high, wide = like.shape
    steps = (high * wide * channels, 1, wide * channels, channels)
    return Expression.of(Buffer(like.numel(), like.dtype), tuple(like.shape), steps)


def _mean(
    writer: Writer,
    node: Node,
    value: Any,
    size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    reaches_over: bool = False,
    counts_frame: bool = True,
    divisor: Any = None,
) -> Expression:
    own, like = writer.value(value), node.meta["val"]
    plain = _pair(padding) == (0, 0) and not reaches_over
    if like.ndim != 4 or not plain or not like.dtype.is_floating_point:
        raise UncoveredError("means of windows of volumes, or beyond an image")
    seen = _windows(writer.loaded(own), (like.shape[2], like.shape[3]), _pair(size), _pair(stride or size))
    return _folded(writer, seen, mean_of(divisor or math.prod(_pair(size))))


def _from_mean(
    writer: Writer,
    node: Node,
    gradient: Any,
    value: Any,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    reaches_over: bool,
    counts_frame: bool,
    divisor: Any = None,
) -> Expression:
    """A window's share to each number in it; window after window where they overlap."""
    like, given, count = node.meta["val"], writer.loaded(writer.value(gradient)), _pair(size)
    if like.ndim != 4 or _pair(padding) != (0, 0) or reaches_over:
        raise UncoveredError("means of windows of volumes, or beyond an image")
    target = _channels_last(like)
    writer.add(Store(target, Expression(target.shape, target.dtype, Number(0, target.dtype))))
    share = Apply("({0} / {1})", (given.element, Number(divisor or math.prod(count), given.dtype)), given.dtype)
    pixels = (given.shape[2], given.shape[3])
    places = _windows(target, pixels, count, _pair(stride or size))
    for high in range(count[0]):
        for wide in range(count[1]):
            spot = part(part(places, 4, high, 1), 5, wide, 1)
            spot = spot.seen(given.shape, lambda old: (0, old[:4]))
            writer.add(Store(spot, Expression(given.shape, given.dtype, share), adds=True))
    return target


OPERATIONS: dict[Any, Operation] = {
    aten.max_pool2d_with_indices: _largest,
    aten.max_pool2d_with_indices_backward: _from_largest,
    aten.avg_pool2d: _mean,
    aten.avg_pool2d_backward: _from_mean,
}
