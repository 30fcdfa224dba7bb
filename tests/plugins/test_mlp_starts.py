"""How a multi-layer perceptron starts, and its inputs that are parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mamlzoo import Spec, UsageError
from mamlzoo_models.mlp import MLP


def test_an_mlp_may_start_by_the_outputs_of_each_layer():
    layers = [
        layer for layer in MLP(hidden=(400,), init="fan-out").build(Spec((9,), 4)) if isinstance(layer, nn.Linear)
    ]
    for layer, bound in zip(layers, (400**-0.5, 4**-0.5), strict=True):
        weights = layer.weight.detach()
        assert layer.bias.abs().max() <= bound
        assert weights.abs().max() <= bound
        assert weights.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)  # the standard deviation of U(−b, b)
    assert layers[0].bias.std().item() == pytest.approx(400**-0.5 / 3**0.5, rel=0.1)


def test_an_mlp_starts_in_one_way():
    with pytest.raises(UsageError, match=r"starts by init fan-out or by init-sd 0\.01; give one of them"):
        MLP(init="fan-out", init_sd=0.01)


def test_extra_inputs_are_parameters_that_start_at_zero_and_stand_behind_the_inputs():
    network = MLP(hidden=(), extra_inputs=2).build(Spec((3,), 1))
    extra, linear = network
    assert extra.values.tolist() == [0.0, 0.0]
    assert linear.in_features == 5
    x = torch.randn(4, 3)
    assert torch.equal(network(x), x @ linear.weight[:, :3].T + linear.bias)
    with torch.no_grad():
        extra.values.copy_(torch.tensor([1.0, -2.0]))
    torch.testing.assert_close(
        network(x), torch.cat([x, torch.tensor([[1.0, -2.0]] * 4)], 1) @ linear.weight.T + linear.bias
    )
