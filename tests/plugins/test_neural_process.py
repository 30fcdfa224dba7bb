"""The latent neural process beside the linear Gaussian model that it is with linear networks."""

from __future__ import annotations

import math

import pytest
import torch
from neural_processes import bound, linear, loss, points, predicted, require_masks_are_subsets, require_refusals
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from mamlzoo import Spec
from mamlzoo_algorithms.latent_gaussian import LatentGaussian
from mamlzoo_algorithms.neural_process import NeuralProcess

A, B, FREE, C, D, S, LEAST = 0.5, -1.5, 0.4, 2.0, 0.7, 0.3, 0.2
SD = LEAST + (1 - LEAST) * math.log(1 + math.exp(S))
V = 0.1 + 0.9 / (1 + math.exp(-FREE))
MANY = 20_000


def linear_process(**options):
    """z ~ N(m, v²) with m = A·mean x + B·mean y, and y = C·x + D·z + noise of standard deviation SD."""
    algorithm = NeuralProcess(latent=1, least_sd=LEAST, **options)
    networks = {
        "encoder": linear([A, B], [0.0, 0.0], bias=[0.0, FREE]),
        "decoder": linear([C, D], [0.0, 0.0], bias=[0.0, S]),
    }
    return algorithm, *bound(algorithm, networks)


def centre(batch):
    return A * float(batch.x.mean()) + B * float(batch.y.mean())


def test_the_meta_loss_is_minus_the_evidence_lower_bound():
    algorithm, learner, meta = linear_process(train_samples=MANY)
    support, query = points(4), points(3, seed=1)
    prior, posterior = centre(support), centre(support.joined(query))
    divergence = float(kl_divergence(Normal(posterior, V), Normal(prior, V)))
    # E (y − Cx − Dz)² = (y − Cx − Dm)² + D²v².
    squares = (query.y - C * query.x - D * posterior).square() + (D * V) ** 2
    fit = float((squares / (2 * SD**2)).mean()) + math.log(SD) + math.log(2 * math.pi) / 2
    assert float(loss(algorithm, learner, meta, support, query).detach()) == pytest.approx(
        fit + divergence / 3, rel=0.02
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_is_below_the_evidence(seed):
    # Given the support set, the query targets are N(Cx + Dm, SD²·I + D²v²·11ᵀ) with the m of the support set.
    algorithm, learner, meta = linear_process(train_samples=MANY)
    support, query = points(4, seed=seed), points(3, seed=seed + 10)
    covariance = SD**2 * torch.eye(3) + (D * V) ** 2 * torch.ones(3, 3)
    mean = (C * query.x + D * centre(support))[:, 0]
    evidence = float(MultivariateNormal(mean, covariance.double()).log_prob(query.y[:, 0]))
    assert -3 * float(loss(algorithm, learner, meta, support, query).detach()) < evidence


def test_samples_predict_the_gaussian_that_they_are_of():
    algorithm, learner, meta = linear_process(samples=MANY)
    support, query = points(4), points(3, seed=1)
    found = predicted(algorithm, learner, meta, support, query.x)
    mean, sd = C * query.x + D * centre(support), math.hypot(SD, D * V)
    torch.testing.assert_close(found.points, mean, atol=0.02, rtol=0)
    torch.testing.assert_close(found.quantile(0.9), mean + sd * 1.2816, atol=0.03, rtol=0)
    wanted = -Normal(mean, sd).log_prob(query.y)[:, 0]
    torch.testing.assert_close(found.scores(query.y)["nll"], wanted, atol=0.05, rtol=0.02)
    covariance = SD**2 * torch.eye(3) + (D * V) ** 2 * torch.ones(3, 3)
    joint = -MultivariateNormal(mean[:, 0], covariance.double()).log_prob(query.y[:, 0]) / 3
    assert found.scores(query.y)["joint nll"].tolist() == pytest.approx([float(joint)] * 3, rel=0.05)


def test_derivatives_flow_through_the_samples():
    # By m of the posterior −E log p has −(y − Cx − Dm)·D/SD² a point; the divergence (m − m′)/V², and by m′ the opposite.
    algorithm, learner, meta = linear_process(train_samples=MANY)
    support, query = points(4), points(3, seed=1)
    ours = loss(algorithm, learner, meta, support, query)
    (found,) = torch.autograd.grad(ours, [meta["encoder"]["weight"]])
    both = support.joined(query)
    prior, posterior = centre(support), centre(both)
    pull = -float((query.y - C * query.x - D * posterior).mean()) * D / SD**2
    apart = (posterior - prior) / V**2 / 3
    of_x = (pull + apart) * float(both.x.mean()) - apart * float(support.x.mean())
    of_y = (pull + apart) * float(both.y.mean()) - apart * float(support.y.mean())
    assert found[0].tolist() == pytest.approx([of_x, of_y], rel=0.05, abs=0.01)


def test_the_divergence_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    one, two = (LatentGaussian(*torch.rand(2, 6, generator=generator) + 0.1) for _ in range(2))
    wanted = kl_divergence(Normal(*one), Normal(*two)).sum()
    torch.testing.assert_close(one.divergence(two), wanted)
    assert float(one.divergence(one)) == pytest.approx(0, abs=1e-6)


def test_of_an_empty_support_set_the_prior_is_around_zero():
    algorithm = NeuralProcess(latent=3)
    learner, meta = bound(algorithm)
    mean, sd = algorithm.start(learner, meta, points(0))
    assert mean.tolist() == [0.0] * 3
    assert sd.tolist() == pytest.approx([0.55] * 3)


def test_all_query_points_are_predicted_with_the_same_samples():
    algorithm = NeuralProcess(latent=3)
    learner, meta = bound(algorithm)
    support, query = points(4), points(6, seed=1)
    together = predicted(algorithm, learner, meta, support, query.x).means
    alone = predicted(algorithm, learner, meta, support, query.x[2:3]).means
    torch.testing.assert_close(together[2:3], alone)


def test_masks_are_subsets():
    require_masks_are_subsets(NeuralProcess(latent=3))


def test_what_it_cannot_learn_is_refused():
    require_refusals(NeuralProcess())


def test_networks_are_of_the_size_of_inputs_and_targets():
    assert NeuralProcess(latent=7).networks(Spec((2,), 3)) == {"encoder": Spec((5,), 14), "decoder": Spec((9,), 6)}
