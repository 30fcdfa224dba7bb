"""The residual network of twelve convolutions."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from mamlzoo import Spec, UsageError
from mamlzoo_models.resnet12 import Block, ResNet12

MINI_IMAGENET = Spec((3, 84, 84), 640, "classification")


def test_the_embedding_of_metaoptnet_has_twelve_convolutions_and_12_4_million_parameters():
    """Of a block from a to b channels 9ab + 9bb + 9bb and ab of the convolutions, and 2b of each of four norms."""
    network = ResNet12(head="none").build(MINI_IMAGENET)
    widths = (3, 64, 160, 320, 640)
    wanted = sum(9 * a * b + 18 * b * b + a * b + 8 * b for a, b in pairwise(widths))
    assert sum(parameter.numel() for parameter in network.parameters()) == wanted == 12_424_320
    assert sum(isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) for layer in network.modules()) == 12


def test_a_block_adds_what_goes_past_it_and_halves_the_image():
    block = Block(3, 8, "none", 1).double()
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    one, two, three, past = (parameter for parameter in block.parameters())
    y = x
    for weight in (one, two, three):
        y = functional.conv2d(y if weight is one else functional.leaky_relu(y, 0.1), weight, padding=1)
    wanted = functional.max_pool2d(functional.leaky_relu(y + functional.conv2d(x, past), 0.1), 2)
    torch.testing.assert_close(block(x), wanted)


def test_weights_keep_the_variance_of_gradients():
    """Of n outputs and slope a their variance is 2 / ((1 + a²) n)."""
    weight = Block(64, 64, "batch", 1).inside[0].weight.detach()
    assert weight.var().item() == pytest.approx(2 / (1.01 * 9 * 64), rel=0.03)


def test_all_pixels_that_are_left_are_features_if_asked_for():
    assert ResNet12(widths=(2, 3), spatial_mean=False).build(Spec((1, 28, 28), 5))[-1].in_features == 3 * 7 * 7


def test_it_refuses_vectors_and_small_images():
    with pytest.raises(UsageError, match=r"'resnet12' takes images, .* the inputs are \[n, 1\]; choose model mlp"):
        ResNet12().build(Spec((1,), 1))
    with pytest.raises(
        UsageError, match="in each of 4 blocks, and before that of block 4 they are 1 × 1; choose fewer"
    ):
        ResNet12().build(Spec((1, 8, 8), 5))
    with pytest.raises(UsageError, match="at least one block"):
        ResNet12(widths=())
    with pytest.raises(UsageError, match="3 groups do not divide 64 channels"):
        ResNet12(norm="group", groups=3)
