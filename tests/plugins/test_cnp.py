"""The conditional neural process: a mean over the set, and a Gaussian for each query point."""

from __future__ import annotations

import math

import pytest
import torch
from neural_processes import bound, linear, loss, points, predicted, require_masks_are_subsets, require_refusals

from mamlzoo import Batch, Spec
from mamlzoo_algorithms.cnp import CNP


def test_linear_networks_have_a_closed_form():
    # h(x, y) = ax + by, so r = a·mean x + b·mean y; g = (cx + dr, s), with σ = σ₀ + (1 − σ₀)·log(1 + eˢ) constant.
    a, b, c, d, s, least = 0.5, -1.5, 2.0, 0.7, 0.3, 0.2
    algorithm = CNP(representation=1, least_sd=least)
    networks = {"encoder": linear([a, b]), "decoder": linear([c, d], [0.0, 0.0], bias=[0.0, s])}
    learner, meta = bound(algorithm, networks)
    support, query = points(4), points(3, seed=1)
    r = a * float(support.x.mean()) + b * float(support.y.mean())
    sd = least + (1 - least) * math.log(1 + math.exp(s))
    found = predicted(algorithm, learner, meta, support, query.x)
    torch.testing.assert_close(found.mean, c * query.x + d * r)
    torch.testing.assert_close(found.sd, torch.full_like(found.mean, sd))

    errors = [(float(y) - c * float(x) - d * r) for x, y in zip(query.x, query.y, strict=True)]
    wanted = sum(e * e / (2 * sd * sd) for e in errors) / 3 + math.log(sd) + math.log(2 * math.pi) / 2
    ours = loss(algorithm, learner, meta, support, query)
    assert float(ours.detach()) == pytest.approx(wanted)
    # ∂/∂b goes through the mean over the support set: −mean(error)/σ²·d·mean y.
    (of_encoder,) = torch.autograd.grad(ours, [meta["encoder"]["weight"]])
    by_hand = -sum(errors) / 3 / sd**2 * d
    expected = [by_hand * float(support.x.mean()), by_hand * float(support.y.mean())]
    assert of_encoder[0].tolist() == pytest.approx(expected)


def test_of_an_empty_support_set_the_representation_is_zero():
    algorithm = CNP(representation=3)
    learner, meta = bound(algorithm)
    assert algorithm.start(learner, meta, points(0)).tolist() == [0.0, 0.0, 0.0]


def test_the_order_of_a_set_and_copies_of_it_change_nothing():
    algorithm, query = CNP(representation=3), points(3, seed=1)
    learner, meta = bound(algorithm)
    x, y = points(4)
    one, two = (
        predicted(algorithm, learner, meta, support, query.x)
        for support in (Batch(x, y), Batch(torch.cat([x, x.flip(0)]), torch.cat([y, y.flip(0)])))
    )
    torch.testing.assert_close(one.mean, two.mean)


def test_masks_are_subsets():
    require_masks_are_subsets(CNP(representation=3))


def test_what_it_cannot_learn_is_refused():
    require_refusals(CNP())


def test_networks_are_of_the_size_of_inputs_and_targets():
    assert CNP(representation=7).networks(Spec((2,), 3)) == {"encoder": Spec((5,), 7), "decoder": Spec((9,), 6)}
