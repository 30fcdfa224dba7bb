"""Probabilistic MAML: samples, the bound and its gradient on f(x) = θx, in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from neuron_by_hand import THETA, ZERO, bound, curvature, episode, gradients, padded, slope
from torch import nn
from torch.distributions import Normal, kl_divergence

import mamlzoo
from mamlzoo import Categorical, Gaussian, Noise, Spec
from mamlzoo_algorithms.probabilistic_maml import ProbabilisticMAML

RATE, PRIOR_RATE, POSTERIOR_RATE, PRIOR_SD, POSTERIOR_SD = 0.1, 0.2, 0.3, 0.5, 0.25
KEY = torch.tensor(7)


def drawing(learner):
    return replace(learner, noise=Noise(KEY, torch.float64))


def with_numbers(meta):
    """θ of the neuron with a distribution of these numbers."""

    def number(value, shape=(1, 1)):
        return torch.full(shape, value, dtype=torch.float64, requires_grad=True)

    return {
        "network": meta["network"],
        "spread": {"weight": number(math.log(PRIOR_SD))},
        "posterior": {"weight": number(math.log(POSTERIOR_SD))},
        "rates": {"prior": number(PRIOR_RATE, ()), "posterior": number(POSTERIOR_RATE, ())},
    }


@pytest.fixture
def by_hand():
    """The algorithm, what it is given, and the means of q and p, the sample's ε and φ of one step from it."""
    data, algorithm = episode(), ProbabilisticMAML(inner_lr=RATE, noise=0.5)
    learner, meta = bound(algorithm)
    posterior = THETA - POSTERIOR_RATE * slope(THETA, data.query)
    prior = THETA - PRIOR_RATE * slope(THETA, data.support)
    epsilon = float(Noise(KEY, torch.float64).normal(1, 1))
    start = posterior + POSTERIOR_SD * epsilon
    phi = start - RATE * slope(start, data.support)
    return algorithm, drawing(learner), with_numbers(meta), data, posterior, prior, epsilon, phi


def test_the_meta_loss_is_the_query_loss_from_a_sample_and_the_divergence(by_hand):
    algorithm, learner, meta, data, posterior, prior, _, phi = by_hand
    loss, _ = algorithm.meta_loss(learner, meta, data, ZERO)
    query = float((phi * data.query.x - data.query.y).square().mean())
    divergence = float(kl_divergence(Normal(posterior, POSTERIOR_SD), Normal(prior, PRIOR_SD)))
    assert float(loss.detach()) == pytest.approx(query + 2 * 0.5**2 / len(data.query.y) * divergence)


def test_the_meta_gradient_is_the_closed_forms(by_hand):
    # φ = ψ − α·L_S′(ψ), ψ = q + v·ε, q = μ − γ_q·L_Q′(μ), p = μ − γ_p·L_S′(μ), and h the curvatures; w = 2s²/n.
    algorithm, learner, meta, data, posterior, prior, epsilon, phi = by_hand
    h_s, h_q, weight = curvature(data.support), curvature(data.query), 2 * 0.5**2 / len(data.query.y)
    by_start = (1 - RATE * h_s) * slope(phi, data.query)
    apart = (posterior - prior) / PRIOR_SD**2  # ∂KL/∂q = −∂KL/∂p
    found = gradients(algorithm, learner, meta, data)
    assert {name: float(value) for name, value in found.items()} == {
        "network.weight": pytest.approx(
            by_start * (1 - POSTERIOR_RATE * h_q) + weight * apart * (PRIOR_RATE * h_s - POSTERIOR_RATE * h_q)
        ),
        "posterior.weight": pytest.approx(
            by_start * POSTERIOR_SD * epsilon + weight * (POSTERIOR_SD**2 / PRIOR_SD**2 - 1)
        ),
        "spread.weight": pytest.approx(weight * (1 - (POSTERIOR_SD**2 + (posterior - prior) ** 2) / PRIOR_SD**2)),
        "rates.posterior": pytest.approx(-slope(THETA, data.query) * (by_start + weight * apart)),
        "rates.prior": pytest.approx(slope(THETA, data.support) * weight * apart),
    }


def test_initialisations_are_drawn_around_where_the_support_set_leads():
    data, algorithm = episode(), ProbabilisticMAML(samples=400)
    learner, meta = bound(algorithm)
    starts = algorithm.start(drawing(learner), with_numbers(meta), data.support)
    drawn = torch.stack([params["weight"].detach() for params in starts.values()])
    standard_error = PRIOR_SD / 20
    mean = THETA - PRIOR_RATE * slope(THETA, data.support)
    assert float(drawn.mean()) == pytest.approx(mean, abs=4 * standard_error)
    assert float(drawn.std()) == pytest.approx(PRIOR_SD, abs=4 * standard_error / math.sqrt(2))


def test_each_sample_adapts_by_itself():
    data, algorithm = episode(), ProbabilisticMAML(samples=3, inner_lr=RATE)
    learner, meta = bound(algorithm)
    before = algorithm.start(drawing(learner), with_numbers(meta), data.support)
    after = algorithm.adapt(learner, with_numbers(meta), before, data.support)
    for at, params in before.items():
        start = float(params["weight"].detach())
        assert float(after[at]["weight"].detach()) == pytest.approx(start - RATE * slope(start, data.support))


def test_a_regressions_prediction_has_the_samples_mean_and_variance():
    algorithm = ProbabilisticMAML(samples=2, noise=0.5)
    learner, meta = bound(algorithm)
    fast = {at: {"weight": torch.tensor([[w]], dtype=torch.float64)} for at, w in (("a", 1.0), ("b", 3.0))}
    found = algorithm.predict(learner, meta, fast, torch.tensor([[2.0]], dtype=torch.float64))
    assert isinstance(found, Gaussian)
    assert (found.mean.tolist(), found.variance.tolist()) == ([[4.0]], [[0.5**2 + 4.0]])  # of 2 and 6


def test_a_classifications_prediction_is_the_mean_of_probabilities():
    algorithm, network = ProbabilisticMAML(samples=2), nn.Linear(1, 2, bias=False)
    learner, meta = mamlzoo.bind(algorithm, network, nn.functional.cross_entropy, Spec((1,), 2, "classification"))
    fast = {at: {"weight": torch.tensor([[w], [0.0]])} for at, w in (("a", math.log(3)), ("b", -math.log(9)))}
    found = algorithm.predict(learner, meta, fast, torch.ones(1, 1))
    assert isinstance(found, Categorical)
    assert found.probabilities.tolist() == [pytest.approx([(3 / 4 + 1 / 10) / 2, (1 / 4 + 9 / 10) / 2])]


def test_padding_has_no_part_and_does_not_count():
    data, algorithm = episode(), ProbabilisticMAML(inner_steps=2)
    learner, meta = bound(algorithm)
    plain, same = (gradients(algorithm, drawing(learner), with_numbers(meta), given) for given in (data, padded(data)))
    torch.testing.assert_close(plain, same)


def test_outputs_that_a_task_reads_as_a_distribution_are_refused():
    with pytest.raises(mamlzoo.UsageError, match="reads the network's outputs as a distribution; choose a task whose"):
        ProbabilisticMAML().networks(Spec((1,), 2, target_size=1))


def test_several_episodes_at_once_draw_what_one_after_another_do():
    algorithm = ProbabilisticMAML()
    learner, meta = bound(algorithm)
    episodes = mamlzoo.tree_map(lambda *leaves: torch.stack(leaves), *(episode(seed=at) for at in range(3)))
    losses = [
        mamlzoo.meta_loss(algorithm, learner, with_numbers(meta), episodes, plan=plan, key=1).detach()
        for plan in ("vmap", "loop")
    ]
    torch.testing.assert_close(*losses)
