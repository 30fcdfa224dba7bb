"""The network of four convolutions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mamlzoo import Input, Spec, UsageError
from mamlzoo_models.conv4 import Conv4
from mamlzoo_models.image_norms import GroupNorm

OMNIGLOT = Spec((1, 28, 28), 5, "classification")
MINI_IMAGENET = Spec((3, 84, 84), 5, "classification")


def test_the_network_of_the_papers_has_four_blocks_of_convolution_norm_relu_and_maximum():
    *blocks, flat, head = Conv4().build(OMNIGLOT)
    assert [type(layer) for layer in blocks] == 4 * [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d]
    assert isinstance(flat, nn.Flatten)
    assert head.weight.shape == (5, 64)


def test_protonets_network_has_111_936_parameters_and_no_head():
    """640 + 3 · 36,928 of the convolutions and 4 · 128 of the norms, as in the paper's own network for Omniglot."""
    network = Conv4(head="none").build(Spec((1, 28, 28), 64))
    assert sum(parameter.numel() for parameter in network.parameters()) == 640 + 3 * 36_928 + 4 * 128 == 111_936
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 64)


def test_colour_images_of_84_pixels_leave_1600_features():
    assert Conv4().build(MINI_IMAGENET)[-1].in_features == 1600


def test_strides_halve_as_maxima_do_but_round_up():
    network = Conv4(downsample="stride").build(OMNIGLOT)
    assert not [layer for layer in network if isinstance(layer, nn.MaxPool2d)]
    assert network[-1].in_features == 64 * 2 * 2


def test_the_spatial_mean_leaves_a_number_of_each_filter():
    network = Conv4(downsample="stride", spatial_mean=True).build(OMNIGLOT)
    x = torch.randn(3, 1, 28, 28)
    left = network[:-2](x)
    torch.testing.assert_close(network(x), network[-1](left.sum((2, 3)) / 4))
    assert network[-1].in_features == 64


def moments(values, axes):
    return values.mean(axes), values.var(axes, unbiased=False)


@pytest.mark.parametrize(
    ("norm", "seen"),
    [
        ("batch", lambda x: moments(x, (0, 2, 3))),
        ("layer", lambda x: moments(x, (1, 2, 3))),
        ("group", lambda x: moments(x.unflatten(1, (2, 4)), (2, 3, 4))),
        ("instance", lambda x: moments(x, (2, 3))),
    ],
)
def test_a_norm_leaves_mean_0_and_variance_1_over_its_numbers(norm, seen):
    conv, own, *_ = Conv4(filters=8, norm=norm, groups=2).build(OMNIGLOT).double()
    mean, variance = seen(own(conv(torch.randn(6, 1, 28, 28, dtype=torch.float64))))
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-12, rtol=0)
    torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-2, rtol=0)  # the norm's ε is 1e-5


@pytest.mark.parametrize("norm", ["batch", "layer", "group", "instance"])
def test_every_norm_has_a_scale_and_a_shift_of_each_channel(norm):
    own = Conv4(filters=16, norm=norm).build(OMNIGLOT)[1]
    assert {name: parameter.shape for name, parameter in own.named_parameters()} == {"weight": (16,), "bias": (16,)}
    x = torch.randn(5, 16, 7, 7)
    plain = own(x)
    with torch.no_grad():
        own.weight.copy_(torch.arange(16.0))
        own.bias.fill_(3.0)
    torch.testing.assert_close(own(x), torch.arange(16.0)[:, None, None] * plain + 3)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_the_group_norm_is_torchs(groups):
    own, torchs = GroupNorm(groups, 8).double(), nn.GroupNorm(groups, 8).double()
    with torch.no_grad():
        for parameter, other in zip(own.parameters(), torchs.parameters(), strict=True):
            other.copy_(parameter.copy_(torch.randn(8)))
    x = torch.randn(5, 8, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(own(x), torchs(x))


def test_without_a_norm_there_is_none():
    assert [type(layer) for layer in Conv4(norm="none", blocks=1).build(OMNIGLOT)[:3]] == [
        nn.Conv2d,
        nn.ReLU,
        nn.MaxPool2d,
    ]


@pytest.mark.parametrize(
    ("model", "spec", "words"),
    [
        (Conv4(), Spec((1,), 1), r"takes images, \[n, channels, height, width\], and the inputs are \[n, 1\]; choose model mlp"),
        (Conv4(), Spec((9, 2), 1), r"the inputs are \[n, 9, 2\]; choose model gru, lstm or transformer"),
        (Conv4(), Spec(inputs=Input((3, 28, 28), "integer")), r"of whole numbers; choose a network of your own"),
        (Conv4(), Spec(inputs={"image": Input((3, 28, 28))}), r"the inputs are several tensors; choose a network of your own"),
        (Conv4(blocks=5), OMNIGLOT, r"before that of block 5 they are 1 × 1; choose --model.blocks 4 or --model.downsample stride"),
        (Conv4(), Spec((1, 1, 9)), "they are 1 × 9; choose --model.downsample stride"),
        (Conv4(blocks=6, downsample="stride", norm="instance"), OMNIGLOT, "an instance norm of one pixel is always 0, and in block 5"),
        (Conv4(head="none"), Spec((1, 28, 28), 32), "gives its 64 features, and 32 outputs are asked for; say --model.head linear"),
    ],
)  # fmt: skip
def test_it_refuses_in_words_what_it_cannot_take(model, spec, words):
    with pytest.raises(UsageError, match=words):
        model.build(spec)


def test_groups_divide_the_filters():
    with pytest.raises(UsageError, match="'conv4': 8 groups do not divide 12 channels"):
        Conv4(filters=12, norm="group")
