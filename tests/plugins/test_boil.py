"""BOIL: its closed form on f(x) = h·ω·x, and what its body is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode
from mamlzoo_algorithms.boil import BOIL
from mamlzoo_algorithms.maml import MAML

RATE = 0.1


def episode():
    x, y = torch.randn(2, 2, 6, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Episode(Batch(x[0], y[0]), Batch(x[1], y[1]))


def layers(*between):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 1, bias=False), *between, nn.Linear(1, 1, bias=False)).double()


def meta_gradient(algorithm, network):
    learner, meta = mamlzoo.bind(algorithm, network, nn.functional.mse_loss)
    loss, _ = algorithm.meta_loss(learner, meta, episode(), torch.tensor(0.0))
    return [float(one) for one in torch.autograd.grad(loss, mamlzoo.leaves(meta))]


def test_the_meta_gradient_of_one_step_is_the_closed_forms():
    # With p = hω: ∂L_S/∂p = a·p − b, so ω₁ = ω − α·h·(a·hω − b). Of p₁ = h·ω₁ the derivatives are
    # ∂p₁/∂ω = h·(1 − α·a·h²) and ∂p₁/∂h = ω₁ − α·h·(2a·hω − b).
    data, network = episode(), layers()
    omega, h = (float(one.detach()) for one in network.parameters())
    (a, b), (a_query, b_query) = (
        (float(2 * batch.x.square().mean()), float(2 * (batch.x * batch.y).mean()))
        for batch in (data.support, data.query)
    )
    adapted = omega - RATE * h * (a * h * omega - b)
    outer = a_query * h * adapted - b_query
    by_hand = [outer * h * (1 - RATE * a * h * h), outer * (adapted - RATE * h * (2 * a * h * omega - b))]
    assert meta_gradient(BOIL(inner_lr=RATE), network) == pytest.approx(by_hand, rel=1e-12)


def test_it_is_maml_whose_body_alone_adapts():
    given = {"inner_steps": 3, "inner_lr": RATE}
    one, two = (meta_gradient(a, layers(nn.Tanh())) for a in (BOIL(**given), MAML(adapts=("0.*",), **given)))
    assert one == pytest.approx(two, rel=1e-12)


def test_the_head_stays_while_the_body_adapts():
    learner, meta = mamlzoo.bind(BOIL(), layers(nn.Tanh()), nn.functional.mse_loss)
    fast = mamlzoo.adapt(BOIL(), learner, meta, episode().support, 2)
    adapted = BOIL().adapted(learner, meta, fast)["network"]
    same = {name: torch.equal(value, meta["network"][name]) for name, value in adapted.items()}
    assert same == {"0.weight": False, "2.weight": True}


def test_a_run_says_what_adapts_and_what_stays():
    _, meta = mamlzoo.bind(BOIL(), layers(nn.Tanh()), nn.functional.mse_loss)
    assert BOIL(head="0").remarks(meta) == ["the body that adapts: 2.weight", "the head that stays: 0.weight"]


def test_a_network_that_is_all_head_is_refused():
    with pytest.raises(
        mamlzoo.UsageError, match="the head is the whole network: weight; choose a network with a layer"
    ):
        mamlzoo.bind(BOIL(), nn.Linear(1, 1, bias=False), nn.functional.mse_loss)


def test_a_head_that_is_not_there_is_refused():
    with pytest.raises(
        mamlzoo.UsageError, match="'boil': no parameter belongs to a module 'neck'; there are: 0.weight"
    ):
        mamlzoo.bind(BOIL(head="neck"), layers(), nn.functional.mse_loss)
