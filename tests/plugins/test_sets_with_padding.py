"""Padding anywhere in the sets leaves an episode's meta-loss and meta-gradient those of the examples that are there."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Spec
from mamlzoo_algorithms.least_squares import LeastSquares
from mamlzoo_algorithms.lr_d2 import LRD2
from mamlzoo_algorithms.matching_networks import MatchingNetworks
from mamlzoo_algorithms.nearest_mean import NearestMean
from mamlzoo_algorithms.r2d2 import R2D2
from mamlzoo_algorithms.recurrent import Recurrent
from mamlzoo_algorithms.relation_networks import RelationNetworks

CLASSES, NUMBERS = Spec((2,), 3, kind="classification"), Spec((2,), 3)
CASES = {
    "matching networks": (MatchingNetworks(embedding=3), CLASSES),
    "relation networks": (RelationNetworks(embedding=3), CLASSES),
    "R2-D2 of few examples": (R2D2(embedding=9), CLASSES),
    "R2-D2 of few features": (R2D2(embedding=2), CLASSES),
    "R2-D2 of numbers": (R2D2(embedding=3), NUMBERS),
    "LR-D2": (LRD2(embedding=3), CLASSES),
    "nearest means": (NearestMean(), CLASSES),
    "least squares": (LeastSquares(ridge=0.1), NUMBERS),
    "a line through two points": (LeastSquares(), NUMBERS),
    "recurrent": (Recurrent(state=4), CLASSES),
    "recurrent of numbers": (Recurrent(state=4), NUMBERS),
}
THERE = {
    "support": torch.tensor([1, 0, 1, 1, 0, 1, 0], dtype=torch.bool),
    "query": torch.tensor([0, 1, 1, 0, 1], dtype=torch.bool),
}


def batch(there, spec, seed):
    """What is not there is far off, and of any class."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(there), 2, generator=generator, dtype=torch.float64)
    y = torch.randn(len(there), 3, generator=generator, dtype=torch.float64)
    if spec.kind == "classification":
        y = torch.arange(len(there)) % 3
    return Batch(x.masked_fill(~there[:, None], 1e6), y, there)


def alone(padded):
    return Batch(padded.x[padded.mask], padded.y[padded.mask])


@pytest.mark.parametrize("name", CASES)
def test_a_set_with_padding_is_the_set_without(name):
    algorithm, spec = CASES[name]
    torch.manual_seed(0)
    networks = {
        network: nn.Linear(*wanted.input_shape, wanted.output_size) if isinstance(wanted, Spec) else wanted()
        for network, wanted in algorithm.networks(spec).items()
    }
    networks = {network: module.double() for network, module in networks.items()}
    criterion = functional.cross_entropy if spec is CLASSES else functional.mse_loss
    learner, meta = mamlzoo.bind(algorithm, networks, criterion, spec)
    support, query = batch(THERE["support"], spec, 0), batch(THERE["query"], spec, 1)

    def results(episode):
        loss, _ = algorithm.meta_loss(learner, meta, episode, torch.tensor(0.0))
        gradient = torch.autograd.grad(loss, mamlzoo.leaves(meta), allow_unused=True, materialize_grads=True)
        return loss, list(gradient)

    torch.testing.assert_close(results(Episode(support, query)), results(Episode(alone(support), alone(query))))
