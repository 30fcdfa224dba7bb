"""The built-in models."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mamlzoo.contracts.data import Spec
from mamlzoo.errors import UsageError
from mamlzoo_models.mlp import ACTIVATIONS, MLP
from mamlzoo_models.neuron import Neuron


def test_the_sine_network_is_1_40_40_1_with_relu():
    network = MLP().build(Spec((1,), 1))
    assert [type(layer) for layer in network] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert sum(parameter.numel() for parameter in network.parameters()) == 40 + 40 + 1600 + 40 + 40 + 1


def test_the_initialisation_is_pytorchs_own():
    torch.manual_seed(5)
    built = MLP().build(Spec((1,), 1))
    torch.manual_seed(5)
    by_hand = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    assert all(torch.equal(a, b) for a, b in zip(built.parameters(), by_hand.parameters(), strict=True))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (3,), (5, 4, 3)])
def test_any_scales_and_activation_fit_any_shape(hidden, activation):
    network = MLP(hidden=hidden, activation=activation).build(Spec((2, 3), 4))
    assert network(torch.zeros(7, 2, 3)).shape == (7, 4)
    assert sum(isinstance(layer, ACTIVATIONS[activation]) for layer in network) == len(hidden)


def test_a_neuron_multiplies_by_its_weight():
    network = Neuron(weight=3.0).build(Spec((1,), 1))
    assert network(torch.tensor([[2.0], [-1.0]])).tolist() == [[6.0], [-3.0]]


@pytest.mark.parametrize("spec", [Spec((2,), 1), Spec((1,), 5), Spec((1, 1), 1)])
def test_a_neuron_refuses_other_shapes(spec):
    with pytest.raises(UsageError, match="model 'neuron' maps one number to one number"):
        Neuron().build(spec)


def test_an_mlp_may_start_from_a_truncated_normal_and_no_biases():
    layers = [
        layer for layer in MLP(hidden=(400, 400), init_sd=0.01).build(Spec((1,), 1)) if isinstance(layer, nn.Linear)
    ]
    weights = layers[1].weight.detach()
    assert weights.abs().max() <= 0.02
    # A normal cut off at ±2σ has the standard deviation 0.8796σ (√(1 − 4φ(2)/(2Φ(2) − 1))).
    assert weights.std().item() == pytest.approx(0.008796, rel=0.01)
    assert all(bool((layer.bias == 0).all()) for layer in layers)
