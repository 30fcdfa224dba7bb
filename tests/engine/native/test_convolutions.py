"""Convolutions and pooling in C++, their first and second derivatives too, are torch's."""

from __future__ import annotations

import functools
import itertools
import math

import pytest
import torch
from programs import computed, outputs_of, written
from torch.nn import functional as F

from mamlzoo.engine.native.writer import UncoveredError

SHAPES = [  # examples, channels in, out, height, width, window, stride, padding, dilation
    (2, 3, 5, 7, 6, (3, 3), 1, 1, 1),
    (1, 1, 16, 9, 9, (3, 3), 1, 0, 1),
    (3, 2, 20, 8, 8, (3, 3), 2, 1, 1),
    (2, 4, 7, 9, 7, (3, 3), 2, 0, 1),
    (2, 3, 4, 10, 9, (3, 2), (2, 1), (1, 0), (1, 2)),
    (1, 2, 3, 5, 5, (5, 5), 1, 2, 1),
    (2, 8, 33, 4, 4, (1, 1), 1, 0, 1),
    (1, 5, 6, 3, 3, (3, 3), 1, 0, 1),
    (2, 3, 48, 5, 5, (3, 3), 3, 1, 1),
    (1, 17, 64, 3, 3, (3, 3), 1, 1, 1),
]
FEW = [SHAPES[0], SHAPES[3], SHAPES[4]]
"""One of each kind: at every pixel, at every other, and with axes that differ in all."""
EACH = pytest.mark.parametrize(
    "shapes",
    [
        pytest.param(FEW, id="few"),
        pytest.param([shape for shape in SHAPES if shape not in FEW], id="others", marks=pytest.mark.slow),
    ],
)
"""Derivatives are long sources: a compiler takes half a second of a first one, and a second of a second one."""


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def holds(cases, rtol=1e-10, atol=1e-10):
    for (function, inputs), found in zip(cases, computed(cases), strict=True):
        for one, other in zip(found, outputs_of(function(*inputs)), strict=True):
            torch.testing.assert_close(one, other, rtol=rtol, atol=atol, equal_nan=True)


def of_shape(shape, dtype=torch.float64):
    """A convolution of that shape, and inputs x, w and a bias."""
    count, into, out, high, wide, window, stride, padding, dilation = shape
    inputs = [
        numbers(count, into, high, wide, dtype=dtype),
        numbers(out, into, *window, seed=1, dtype=dtype),
        numbers(out, seed=2, dtype=dtype),
    ]
    return functools.partial(F.conv2d, stride=stride, padding=padding, dilation=dilation), inputs


def gradients(function, *inputs, twice=False):
    """The derivatives of a sum of squares, or those of the square of their lengths."""
    with torch.enable_grad():
        own = [each.detach().requires_grad_() for each in inputs]
        found = torch.autograd.grad(function(*own).square().sum(), own, create_graph=twice)
        if twice:
            found = torch.autograd.grad(sum(each.square().sum() for each in found), own)
    return list(found)


def test_convolutions_are_torchs_at_every_stride_padding_and_dilation():
    holds([of_shape(shape) for shape in SHAPES])


@EACH
def test_their_derivatives_by_images_weights_and_bias_are_torchs(shapes):
    cases = [of_shape(shape) for shape in shapes]
    holds([(functools.partial(gradients, function), inputs) for function, inputs in cases])


@EACH
def test_their_second_derivatives_are_torchs(shapes):
    cases = [of_shape(shape) for shape in shapes]
    holds([(functools.partial(gradients, function, twice=True), inputs) for function, inputs in cases], rtol=1e-8)


@EACH
def test_in_float32_they_are_torchs_but_for_rounding(shapes):
    cases = [of_shape(shape, torch.float32) for shape in shapes]
    holds([(functools.partial(gradients, function), inputs) for function, inputs in cases], 1e-4, 1e-3)


def test_convolutions_of_rows_of_numbers_and_transposed_ones_are_torchs():
    rows, by = numbers(2, 3, 11), numbers(4, 3, 3, seed=1)
    images, turned = numbers(2, 3, 4, 5), numbers(3, 4, 3, 3, seed=1)
    along = [functools.partial(F.conv1d, stride=stride, padding=padding) for stride, padding in ((1, 1), (2, 0))]
    back = [
        functools.partial(F.conv_transpose2d, stride=stride, padding=padding, output_padding=more)
        for stride, padding, more in ((1, 0, 0), (2, 1, 1), (3, 1, 2))
    ]
    holds([(function, [rows, by]) for function in along] + [(function, [images, turned]) for function in back])
    holds([(functools.partial(gradients, function, twice=True), [rows, by]) for function in along], rtol=1e-8)
    holds([(functools.partial(gradients, function, twice=True), [images, turned]) for function in back], rtol=1e-8)


def test_convolutions_of_images_that_lie_in_any_order_are_torchs():
    def seen(x, w):
        return F.conv2d(x.permute(0, 3, 1, 2), w.transpose(0, 1).flip(-1), padding=1)

    holds([(seen, [numbers(2, 5, 6, 3), numbers(3, 4, 3, 3, seed=1)])])


WINDOWS = [(2,), (2, 2), (3, 3), (3, 2), (2, 3), (3, 1, 1), (2, 1, 0, 2), ((1, 3), (1, 2), (0, 1))]


@pytest.mark.parametrize(
    "windows",
    [
        pytest.param(WINDOWS[::3], id="few"),
        pytest.param([how for how in WINDOWS if how not in WINDOWS[::3]], id="others", marks=pytest.mark.slow),
    ],
)
def test_the_largest_of_windows_and_its_derivatives_are_torchs(windows):
    x = numbers(2, 3, 7, 8)
    functions = [functools.partial(lambda how, x: F.max_pool2d(x, *how), how) for how in windows]
    holds([(function, [x]) for function in functions])
    holds([(functools.partial(gradients, function), [x]) for function in functions])
    holds([(functools.partial(gradients, function, twice=True), [x]) for function in functions])


def test_of_equal_numbers_the_first_is_the_largest_and_nan_is_larger_than_all():
    def places(x):
        return F.max_pool2d(x, 2, return_indices=True)

    equal, odd = torch.zeros(1, 2, 4, 6, dtype=torch.float64), numbers(1, 2, 4, 6)
    odd[0, 0, 1, 3], odd[0, 1, 0, 0], odd[0, 1, 2:, 2:4] = math.nan, -math.inf, -math.inf
    holds([(places, [equal]), (places, [odd])])


def test_means_of_windows_and_their_derivatives_are_torchs():
    x = numbers(2, 3, 7, 8)
    functions = [functools.partial(lambda how, x: F.avg_pool2d(x, *how), how) for how in [(2,), (3, 2), (2, 3)]]
    holds([(function, [x]) for function in functions])
    holds([(functools.partial(gradients, function, twice=True), [x]) for function in functions])


def test_what_is_no_convolution_of_images_is_left_to_another_compiler():
    grouped = functools.partial(F.conv2d, groups=2)
    volume = F.conv3d
    for function, inputs in [
        (grouped, [numbers(1, 4, 5, 5), numbers(6, 2, 3, 3)]),
        (volume, [numbers(1, 2, 4, 4, 4), numbers(3, 2, 2, 2, 2)]),
        (functools.partial(F.max_pool2d, kernel_size=2, ceil_mode=True), [numbers(1, 1, 5, 5)]),
        (functools.partial(F.avg_pool2d, kernel_size=2, padding=1), [numbers(1, 1, 5, 5)]),
    ]:
        with pytest.raises(UncoveredError):
            written("f", function, inputs)


ONCE = [(1, 64), (6, 24), (16, 1), (1, 8)]
"""Every number of channels, in and out, with some number of the others."""


@pytest.mark.parametrize(
    ("channels", "out"),
    [
        pair if pair in ONCE else pytest.param(*pair, marks=pytest.mark.slow)
        for pair in itertools.product([1, 6, 16], [1, 8, 24, 64])
    ],
)
def test_channels_of_any_number_fill_vectors_halves_and_single_numbers(channels, out):
    function, inputs = of_shape((2, channels, out, 5, 4, (3, 3), 1, 1, 1), torch.float32)
    holds([(functools.partial(gradients, function), inputs)], 1e-4, 1e-3)
