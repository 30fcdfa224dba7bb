"""What the tests of neural processes share: linear networks, small sets, and a padded one beside a plain one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, Input, Spec

ONE = Spec((1,), 1)
CLASSES, IMAGES, WORDS = Spec((2,), 3, "classification"), Spec((1, 8, 8), 1), Spec(inputs=Input((3,), vocabulary=7))


def linear(*rows, bias=None):
    """A layer of these weights, one row an output."""
    weight = torch.tensor(rows, dtype=torch.float64)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=torch.float64)
    layer.weight.data = weight
    if bias is not None:
        layer.bias.data = torch.tensor(bias, dtype=torch.float64)
    return layer


def bound(algorithm, networks=None, spec=ONE, seed=0):
    """A learner and θ, by these networks, or by small ones of random weights where there is none."""
    torch.manual_seed(seed)
    made = {}
    for name, wanted in algorithm.networks(spec).items():
        if isinstance(wanted, Spec):
            made[name] = nn.Sequential(
                nn.Linear(wanted.input_shape[0], 5), nn.Tanh(), nn.Linear(5, wanted.output_size)
            ).double()
        else:
            made[name] = wanted().double()
    return mamlzoo.bind(algorithm, made | (networks or {}), nn.functional.mse_loss, spec)


def points(n, seed=0, inputs=1, targets=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, inputs, generator=generator, dtype=torch.float64)
    return Batch(x, torch.randn(n, targets, generator=generator, dtype=torch.float64))


def keyed(learner, number=1):
    """With random numbers."""
    noise = mamlzoo.Noise(torch.tensor(number), torch.float64)
    return mamlzoo.Learner(learner.networks, learner.constants, learner.criterion, learner.spec, noise=noise)


def predicted(algorithm, learner, meta, support, x):
    learner = keyed(learner)
    with torch.no_grad():
        return algorithm.predict(learner, meta, algorithm.start(learner, meta, support), x)


def loss(algorithm, learner, meta, support, query, number=1):
    return algorithm.meta_loss(keyed(learner, number), meta, Episode(support, query), torch.tensor(0.0))[0]


def require_masks_are_subsets(algorithm):
    """Sets with padding anywhere in them, an empty one too, give what those without it give."""
    learner, meta = bound(algorithm)
    support, query = points(7), points(5, seed=1)
    asked = torch.tensor([True, False, True, True, False])
    for there in (torch.tensor([True, False, False, True, True, False, True]), torch.zeros(7, dtype=torch.bool)):
        padded = Batch(support.x, support.y, there), Batch(query.x, query.y, asked)
        plain = Batch(support.x[there], support.y[there]), Batch(query.x[asked], query.y[asked])
        torch.testing.assert_close(*(loss(algorithm, learner, meta, *sets) for sets in (padded, plain)))
        one, two = (predicted(algorithm, learner, meta, sets[0], query.x).points for sets in (padded, plain))
        torch.testing.assert_close(one, two)


def require_refusals(algorithm):
    vectors = "takes inputs that are vectors of numbers"
    for spec, complaint in ((CLASSES, "the task is a classification"), (IMAGES, vectors), (WORDS, vectors)):
        with pytest.raises(mamlzoo.UsageError, match=complaint):
            algorithm.networks(spec)
