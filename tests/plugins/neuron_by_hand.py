"""f(x) = θx with mean squared errors: episodes for it, and the derivatives that closed forms are made of."""

from __future__ import annotations

import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode

ZERO = torch.tensor(0.0, dtype=torch.float64)
THETA = 0.7


def episode(n=6, seed=0, inputs=1):
    generator = torch.Generator().manual_seed(seed)

    def batch():
        x = torch.randn(n, inputs, generator=generator, dtype=torch.float64)
        return Batch(x, torch.randn(n, 1, generator=generator, dtype=torch.float64))

    return Episode(batch(), batch())


def bound(algorithm, theta=(THETA,)):
    """A learner and θ of one layer without a bias, of these weights."""
    network = nn.Linear(len(theta), 1, bias=False, dtype=torch.float64)
    network.weight.data = torch.tensor([theta], dtype=torch.float64)
    return mamlzoo.bind(algorithm, network, nn.functional.mse_loss, mamlzoo.Spec((1,), 1))


def slope(theta, batch):
    """∂/∂θ mean (θx − y)²."""
    return float(2 * (batch.x * (theta * batch.x - batch.y)).mean())


def curvature(batch):
    """∂²/∂θ² mean (θx − y)², whatever θ."""
    return float(2 * batch.x.square().mean())


def gradients(algorithm, learner, meta, episode):
    """The meta-gradient by name."""
    loss, _ = algorithm.meta_loss(learner, meta, episode, ZERO)
    names, leaves = zip(*mamlzoo.named_leaves(meta), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, leaves), strict=True))


def with_padding(batch, junk):
    """The same set with three examples behind it that are not there."""
    x = torch.cat([batch.x, torch.full_like(batch.x[:3], junk)])
    y = torch.cat([batch.y, torch.zeros_like(batch.y[:3])])
    return Batch(x, y, torch.arange(len(y)) < len(batch.y))


def padded(episode, junk=1e3):
    return Episode(with_padding(episode.support, junk), with_padding(episode.query, junk))
