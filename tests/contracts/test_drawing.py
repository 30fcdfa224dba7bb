"""Networks that draw: the same numbers for the same key, torch's distribution, and evaluation mode at test."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.func import vmap
from torch.nn import functional

from mamlzoo.contracts.data import Spec
from mamlzoo.contracts.drawing import drawing, draws, tried
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.noise import Noise

ROWS = 4000


class Jitter(nn.Module):
    def forward(self, x):
        return x + 0.5 * torch.randn_like(x) if self.training else x


class Attention(nn.Module):
    def __init__(self, need_weights=False):
        super().__init__()
        self.own, self.need_weights = nn.MultiheadAttention(8, 2, dropout=0.4, batch_first=True), need_weights

    def forward(self, x):
        return self.own(x[:, None] * torch.ones(3, 1), x[:, None].expand(-1, 3, -1), x[:, None].expand(-1, 3, -1))[0]


class Layers(nn.Module):
    """A recurrent network of two layers, with dropout between them."""

    def __init__(self, kind):
        super().__init__()
        self.own = kind(8, 5, num_layers=2, dropout=0.4, batch_first=True)

    def forward(self, x):
        return self.own(x[:, None].expand(-1, 3, -1))[0]


NETWORKS = {
    "dropout": lambda: nn.Dropout(0.3),
    "dropout of channels": lambda: nn.Sequential(nn.Unflatten(1, (4, 2)), nn.Dropout1d(0.3)),
    "dropout of images' channels": lambda: nn.Sequential(nn.Unflatten(1, (4, 2, 1)), nn.Dropout2d(0.3)),
    "alpha dropout": lambda: nn.AlphaDropout(0.3),
    "feature alpha dropout": lambda: nn.Sequential(nn.Unflatten(1, (4, 2)), nn.FeatureAlphaDropout(0.3)),
    "rrelu": lambda: nn.RReLU(),
    "noise of its own": Jitter,
    "attention": Attention,
    "attention with weights": lambda: Attention(need_weights=True),
    "a transformer's layer": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 4)), nn.TransformerEncoderLayer(4, 2, 8, dropout=0.3, batch_first=True)
    ),
    "lstm": lambda: Layers(nn.LSTM),
    "gru": lambda: Layers(nn.GRU),
}


def made(make):
    torch.manual_seed(0)
    network = make()
    tried(network, copy.deepcopy(network), inputs(2))
    return network


def inputs(rows=ROWS):
    return torch.randn(rows, 8, generator=torch.Generator().manual_seed(0))


def drawn(network, x, key=0):
    with drawing(network, Noise(torch.tensor(key))), torch.no_grad():
        return network(x)


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_a_network_that_draws_has_torchs_mean_and_spread_and_leaves_torchs_generator_alone(make):
    network, x = made(make), inputs()
    with torch.no_grad():
        torchs = torch.stack([network(x) for _ in range(4)])
        still = network.eval()(x)
        network.train()
    before = torch.random.get_rng_state()
    ours = torch.stack([drawn(network, x, key) for key in range(4)])
    assert torch.equal(before, torch.random.get_rng_state())
    assert not torch.equal(ours[0], ours[1])
    assert torch.equal(ours[0], drawn(network, x, 0))
    # The mean and the mean square of what it adds to itself in evaluation mode, within five standard errors.
    for power in (1, 2):
        one, two = ((values - still).pow(power).double().flatten(2).mean(-1).flatten() for values in (ours, torchs))
        off = math.sqrt(float(one.var() + two.var()) / len(one))
        assert abs(float(one.mean() - two.mean())) < 5 * off


@pytest.mark.parametrize("make", [make for name, make in NETWORKS.items() if name not in ("lstm", "gru")])
def test_several_episodes_at_once_draw_what_each_draws_alone(make):
    network, x, keys = made(make), inputs(3), torch.tensor([1, 2, 3])

    def one(key):
        with drawing(network, Noise(key)):
            return network(x)

    with torch.no_grad():
        torch.testing.assert_close(vmap(one)(keys), torch.stack([one(key) for key in keys]))


def test_what_does_not_draw_is_told_from_what_does():
    assert all(draws(made(make)) for make in NETWORKS.values())
    assert all(draws(make()) for name, make in NETWORKS.items() if name != "noise of its own")  # without a trial
    assert not draws(nn.Sequential(nn.Linear(1, 1), nn.Tanh(), nn.LSTM(1, 1)))


@pytest.mark.parametrize("causal", [False, True])
def test_attention_without_what_was_dropped_is_torchs(causal):
    query, key, value = torch.randn(3, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    with drawing(nn.Dropout(0.5), Noise(torch.tensor(0))):
        kept = functional.scaled_dot_product_attention(query, key, value, dropout_p=1e-9, is_causal=causal)
    torch.testing.assert_close(kept, functional.scaled_dot_product_attention(query, key, value, is_causal=causal))


def learner(network, **given):
    return Learner({"network": network}, {"network": {}}, functional.mse_loss, Spec((8,), 8), **given)


def test_a_network_is_as_in_training_within_a_meta_loss_and_as_in_evaluation_mode_elsewhere():
    network, x = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), inputs(5)
    params = {name: value.detach() for name, value in network.named_parameters()}
    resting, training = (learner(network, training=on, noise=Noise(torch.tensor(0))) for on in (False, True))
    torch.testing.assert_close(resting.predict(params, x), network[0](x))
    assert (training.predict(params, x) == 0).any()
    assert (resting.predict(params, x, training=True) == 0).any()
    torch.testing.assert_close(training.predict(params, x, training=False), network[0](x))


def test_each_call_has_a_mask_of_its_own_and_a_branch_by_number_the_same_again():
    network, x = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), inputs(5)
    params = {name: value.detach() for name, value in network.named_parameters()}
    own = learner(network, training=True, noise=Noise(torch.tensor(0)))
    assert not torch.equal(own.predict(params, x), own.predict(params, x))
    assert torch.equal(own.branch(1).predict(params, x), own.branch(1).predict(params, x))
