"""Random Fourier features, and networks of sines."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

from mamlzoo import Spec, UsageError
from mamlzoo_models.fourier_mlp import FourierMLP, Waves
from mamlzoo_models.siren import Siren


def test_features_of_two_points_have_a_gaussian_kernel_of_their_distance():
    """E cos 2πb(x − y) = exp(−2π²σ²(x − y)²) for b ~ N(0, σ²)."""
    torch.manual_seed(0)
    waves = Waves(1, 200_000, 0.5)
    x = torch.tensor([[0.3], [0.0], [-0.4]])
    features = waves(x)
    kernel = features @ features.T / 200_000
    torch.testing.assert_close(kernel, torch.exp(-2 * (math.pi * 0.5 * (x - x.T)) ** 2), atol=0.01, rtol=0)


def test_frequencies_are_drawn_by_seed_and_not_learned():
    built = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        built.append(FourierMLP().build(Spec((2,), 1)))
    frequencies = [network[1].frequencies for network in built]
    assert frequencies[0].shape == (64, 2)
    assert not torch.equal(*frequencies)
    assert all("frequencies" not in name for name, _ in built[0].named_parameters())


def test_what_stands_before_a_later_sine_has_variance_1_by_its_weights_and_the_biases_at_any_depth():
    torch.manual_seed(0)
    network = Siren(hidden=(1024, 1024, 1024)).build(Spec((1,), 1))
    x = 2 * torch.rand(2000, 1) - 1
    with torch.no_grad():
        for at in (4, 6):  # the sines of the second and the third layer; each is of 30 times what it is given
            before = 30 * network[:at](x)
            assert before.var().item() == pytest.approx(1 + 30**2 / (3 * 1024), abs=0.1)


def test_the_weights_of_a_siren_are_within_the_papers_bounds():
    layers = [layer for layer in Siren(hidden=(50, 20), omega=3.0).build(Spec((4,), 2)) if isinstance(layer, nn.Linear)]
    for layer, bound in zip(layers, (1 / 4, math.sqrt(6 / 50) / 3, math.sqrt(6 / 20) / 3), strict=True):
        assert 0.9 * bound < layer.weight.abs().max() <= bound


def test_several_sirens_at_once_are_each_alone_in_float64():
    network = Siren().build(Spec((1,), 1)).double()
    params = {name: torch.stack([own.detach(), own.detach() + 0.1]) for name, own in network.named_parameters()}
    x = torch.randn(6, 1, dtype=torch.float64)
    at_once = vmap(lambda own: functional_call(network, own, (x,)))(params)
    alone = torch.stack([functional_call(network, {n: p[at] for n, p in params.items()}, (x,)) for at in (0, 1)])
    torch.testing.assert_close(at_once, alone, rtol=0, atol=1e-10)


def test_a_siren_has_a_hidden_layer():
    with pytest.raises(UsageError, match="'siren' has at least one hidden layer"):
        Siren(hidden=())
