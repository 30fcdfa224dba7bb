"""Networks that read sequences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mamlzoo import Spec, UsageError
from mamlzoo_models.gru import GRU
from mamlzoo_models.lstm import LSTM
from mamlzoo_models.transformer import Positions, Transformer

SPEC = Spec((7, 3), 2)


def fused(network, kind, layers):
    """torch's own network with the parameters of the cells."""
    own = kind(3, 5, layers, batch_first=True)
    with torch.no_grad():
        for layer, cell in enumerate(network.cells):
            for name, parameter in cell.named_parameters():
                own.get_parameter(f"{name}_l{layer}").copy_(parameter)
    return own


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("model", "kind"), [(GRU, nn.GRU), (LSTM, nn.LSTM)])
def test_a_network_of_cells_is_torchs_fused_one(model, kind, layers):
    network = model(state=5, layers=layers).build(SPEC)
    x = torch.randn(4, 7, 3)
    steps, _ = fused(network, kind, layers)(x)
    torch.testing.assert_close(network(x), network.head(steps[:, -1]))


def test_a_position_is_sines_of_its_number():
    positions = Positions(9, 4).positions
    wanted = [[math.sin(t), math.cos(t), math.sin(t / 100), math.cos(t / 100)] for t in range(9)]
    torch.testing.assert_close(positions, torch.tensor(wanted))


def test_a_transformer_sees_the_order_of_steps_by_their_positions_alone():
    network = Transformer(width=8, heads=2).build(SPEC).eval()
    x, turned = torch.randn(4, 7, 3), list(reversed(range(7)))
    assert not torch.allclose(network(x), network(x[:, turned]), atol=1e-4)
    network[1].positions.zero_()
    torch.testing.assert_close(network(x), network(x[:, turned]))


@pytest.mark.parametrize("model", [GRU(), LSTM(), Transformer()])
def test_they_refuse_vectors_and_images(model):
    with pytest.raises(
        UsageError, match=rf"'{model.name}' takes sequences, \[n, length, features\], .* choose model mlp"
    ):
        model.build(Spec((4,), 1))
    with pytest.raises(UsageError, match="choose model conv4 or resnet12"):
        model.build(Spec((1, 28, 28), 1))


def test_heads_divide_an_even_width():
    with pytest.raises(UsageError, match="64 is not for 5; choose a width as 70"):
        Transformer(heads=5)
    with pytest.raises(UsageError, match="7 is not for 1; choose a width as 8"):
        Transformer(width=7, heads=1)
