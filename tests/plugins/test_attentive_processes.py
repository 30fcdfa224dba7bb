"""Attention to the support set, alone and beside a latent vector."""

from __future__ import annotations

import pytest
import torch
from neural_processes import bound, linear, loss, points, predicted, require_masks_are_subsets, require_refusals
from torch import nn

import mamlzoo
from mamlzoo import Batch
from mamlzoo_algorithms.anp import ANP
from mamlzoo_algorithms.canp import CANP
from mamlzoo_algorithms.cross_attention import CrossAttention
from mamlzoo_algorithms.neural_process import NeuralProcess

BOTH = [CANP(representation=4, heads=2), ANP(representation=4, heads=2, latent=3)]
EACH = pytest.mark.parametrize("algorithm", BOTH, ids=lambda algorithm: algorithm.name)


def rows(n, size=6, seed=0):
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed))


def test_it_attends_as_torchs_own_layer_does():
    ours, theirs = CrossAttention(6, 3), nn.MultiheadAttention(6, 3, bias=False)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.out_proj.weight.copy_(ours.out.weight)
    queries, keys, values = rows(4), rows(5, seed=1), rows(5, seed=2)
    there = torch.tensor([True, True, False, True, False])
    expected, _ = theirs(queries, keys, values, key_padding_mask=~there)
    torch.testing.assert_close(ours(queries, keys, values, there), expected)


@pytest.mark.parametrize("n", [0, 3])
def test_of_a_set_without_anything_there_it_takes_zero(n):
    found = CrossAttention(6, 3)(rows(4), rows(n), rows(n), torch.zeros(n, dtype=torch.bool))
    assert torch.equal(found, torch.zeros(4, 6))


def test_a_key_like_the_query_is_looked_up_and_others_are_not():
    layer = CrossAttention(2, 1)
    for part in (layer.query, layer.key):
        part.weight.data = 30 * torch.eye(2)
    for part in (layer.value, layer.out):
        part.weight.data = torch.eye(2)
    keys, values = torch.eye(2), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    torch.testing.assert_close(layer(keys, keys, values, torch.ones(2, dtype=torch.bool)), values)


@EACH
def test_a_support_point_is_read_from_where_the_query_is(algorithm):
    # With keys of the inputs, far larger than 1, each query point takes the value of the nearest support point alone.
    attention = CrossAttention(4, 2).double()
    for part in (attention.query, attention.key, attention.value, attention.out):
        part.weight.data = torch.eye(4, dtype=torch.float64)
    circle = Circle()
    encoder = linear([0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0])
    learner, meta = bound(algorithm, {"attention": attention, "keys": circle, "encoder": encoder})
    support = Batch(torch.tensor([[-2.0], [0.0], [1.0]]).double(), torch.tensor([[5.0], [-3.0], [7.0]]).double())
    fast = algorithm.start(learner, meta, support)
    attended = fast if algorithm.name == "canp" else fast.attended
    found = attended.at(learner, meta, torch.tensor([[0.9], [-1.9], [0.1]]).double())
    torch.testing.assert_close(found[:, 0], torch.tensor([7.0, 5.0, -3.0]).double(), atol=1e-4, rtol=0)


class Circle(nn.Module):
    """Inputs as points of a large circle, in both heads."""

    def __init__(self):
        super().__init__()
        self.size = nn.Parameter(torch.tensor(20.0).double())

    def forward(self, x):
        return self.size * torch.cat([x.cos(), x.sin()] * 2, -1)


@EACH
def test_masks_are_subsets(algorithm):
    require_masks_are_subsets(algorithm)


@EACH
def test_what_it_cannot_learn_is_refused(algorithm):
    require_refusals(algorithm)


@pytest.mark.parametrize("algorithm", [CANP, ANP])
def test_heads_that_do_not_share_a_representation_evenly_are_refused(algorithm):
    with pytest.raises(mamlzoo.UsageError, match="divides a representation of 10 among 4 heads"):
        algorithm(representation=10, heads=4).networks(mamlzoo.Spec((1,), 1))


def decoder(of_r, of_z):
    """(μ, s) = (x + of_r·r + of_z·z, 0.3): what x, r of 4 numbers and z of 3 come to; None: the path is not there."""
    weights = [1.0]
    weights += [] if of_r is None else [of_r] * 4
    weights += [] if of_z is None else [of_z] * 3
    return linear(weights, [0.0] * len(weights), bias=[0.0, 0.3])


def test_an_anp_that_does_not_look_at_its_latent_vector_is_a_canp_but_for_the_divergence():
    (canp, anp), support, query = BOTH, points(5), points(4, seed=1)
    learner, meta = bound(canp, {"decoder": decoder(0.4, None)})
    of_anp, own = bound(anp, {"decoder": decoder(0.4, 0.0)})
    shared = {name: meta[name] for name in ("encoder", "keys", "attention")}
    one = predicted(canp, learner, meta, support, query.x)
    two = predicted(anp, of_anp, own | shared, support, query.x)
    torch.testing.assert_close(two.points, one.mean)
    torch.testing.assert_close(two.scores(query.y)["nll"], one.scores(query.y)["nll"])
    prior = anp.start(of_anp, own, support).latent
    posterior = anp.start(of_anp, own, support.joined(query)).latent
    expected = loss(canp, learner, meta, support, query) + posterior.divergence(prior) / 4
    torch.testing.assert_close(loss(anp, of_anp, own | shared, support, query), expected)


def test_an_anp_that_does_not_look_at_the_support_points_is_an_np():
    anp, np, support, query = BOTH[1], NeuralProcess(latent=3), points(5), points(4, seed=1)
    learner, meta = bound(np, {"decoder": decoder(None, 0.4)})
    of_anp, own = bound(anp, {"decoder": decoder(0.0, 0.4)})
    own = own | {"latent": meta["encoder"]}
    one, two = (
        predicted(np, learner, meta, support, query.x).means,
        predicted(anp, of_anp, own, support, query.x).means,
    )
    torch.testing.assert_close(one, two)
    torch.testing.assert_close(loss(np, learner, meta, support, query), loss(anp, of_anp, own, support, query))
