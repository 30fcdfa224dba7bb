"""Norms and dropout of a multi-layer perceptron, and what inputs it takes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mamlzoo import Input, Spec, UsageError
from mamlzoo.contracts.options import later_at_default
from mamlzoo_models.mlp import MLP


def test_a_norm_stands_before_and_dropout_behind_each_activation():
    network = MLP(hidden=(5, 4), norm="batch", dropout=0.5).build(Spec((3,), 2))
    block = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]
    assert [type(layer) for layer in network] == [*block, *block, nn.Linear]


def test_a_layer_norm_is_of_an_example():
    network = MLP(hidden=(50,), norm="layer").build(Spec((3,), 2))
    hidden = network[:2](torch.randn(4, 3))
    torch.testing.assert_close(hidden.mean(1), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(hidden.var(1, unbiased=False), torch.ones(4), atol=1e-3, rtol=0)


def test_dropout_keeps_the_mean_and_is_silent_at_test():
    network = MLP(hidden=(20_000,), dropout=0.25).build(Spec((1,), 1))
    dropout = network[2]
    shown = dropout(torch.ones(20_000))
    assert (shown == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert shown.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(network.eval()(torch.ones(1, 1)), network(torch.ones(1, 1)))


def test_runs_of_before_are_the_same_experiments():
    assert {"norm", "dropout"} <= set(later_at_default(MLP()))


@pytest.mark.parametrize("inputs", [Input((3,), vocabulary=9), {"a": Input((3,))}, Input(()), Input((0,))])
def test_it_refuses_what_is_not_one_tensor_of_numbers(inputs):
    with pytest.raises(UsageError, match="model 'mlp' takes numbers, .* choose (another task|a network of your own)"):
        MLP().build(Spec(inputs=inputs))
