"""Mixtures of Gaussians: a density, its quantiles, and what all targets of a sample have in common."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
import torch

from mamlzoo import Gaussian
from mamlzoo_algorithms.gaussian_mixture import GaussianMixture

MEANS, SDS = (-1.0, 0.5, 3.0), (0.5, 1.0, 0.2)


def one_target(copies=1):
    """The mixture of three Gaussians of one number, for so many examples alike."""
    means, sds = (torch.tensor(values, dtype=torch.float64)[None, :, None] for values in (MEANS, SDS))
    return GaussianMixture(means.expand(copies, -1, -1), sds.square().expand(copies, -1, -1))


def test_its_likelihood_is_a_density_with_the_mean_that_it_says():
    y = torch.linspace(-10, 10, 20_001, dtype=torch.float64)[:, None]
    density = (-one_target(len(y)).scores(y)["nll"]).exp()
    assert float(torch.trapezoid(density, y[:, 0])) == pytest.approx(1)
    assert float(torch.trapezoid(density * y[:, 0], y[:, 0])) == pytest.approx(float(one_target().points))
    assert float(one_target().points) == pytest.approx(2.5 / 3)


@pytest.mark.parametrize("level", one_target().known_levels)
def test_below_a_quantile_lies_its_level(level):
    at = float(one_target().quantile(level))
    below = sum(NormalDist(mean, sd).cdf(at) for mean, sd in zip(MEANS, SDS, strict=True)) / 3
    assert below == pytest.approx(level, abs=1e-4)


def test_of_one_sample_it_is_that_gaussian():
    generator = torch.Generator().manual_seed(0)
    mean, sd, y = (torch.randn(4, 2, generator=generator, dtype=torch.float64) for _ in range(3))
    single, gaussian = GaussianMixture(mean[:, None], sd.square()[:, None]), Gaussian(mean, sd.square())
    torch.testing.assert_close(single.scores(y)["nll"], gaussian.scores(y)["nll"])
    torch.testing.assert_close(single.quantile(0.2), gaussian.quantile(0.2))
    torch.testing.assert_close(single.scores(y)["joint nll"].mean(), gaussian.nll(y))


def test_together_targets_are_likelier_where_one_sample_fits_them_all():
    # Of two samples, y = −1 or y = 1 throughout; far apart, all n targets choose the same: log(½·p₁…p_n) / n.
    n = 5
    means = torch.tensor([-1.0, 1.0])[None, :, None].expand(n, 2, 1)
    found = GaussianMixture(means, torch.full_like(means, 0.01)).scores(torch.ones(n, 1))
    of_one = -NormalDist(1, 0.1).pdf(1)
    assert found["joint nll"].tolist() == pytest.approx([math.log(2) / n - math.log(-of_one)] * n)
    assert found["nll"].tolist() == pytest.approx([math.log(2) - math.log(-of_one)] * n)


def test_of_one_target_at_a_time_both_scores_are_one():
    scores = one_target().scores(torch.tensor([[0.3]], dtype=torch.float64))
    assert float(scores["nll"]) == pytest.approx(float(scores["joint nll"]))


def test_further_axes_before_the_examples_are_taken():
    generator = torch.Generator().manual_seed(0)
    means, y = torch.randn(2, 3, 4, 5, 1, generator=generator), torch.randn(2, 3, 4, 1, generator=generator)
    several = GaussianMixture(means, torch.full_like(means, 0.3))
    for name, values in several.scores(y).items():
        alone = GaussianMixture(means[1, 2], torch.full_like(means[1, 2], 0.3)).scores(y[1, 2])[name]
        torch.testing.assert_close(values[1, 2], alone)
    assert several.points.shape == several.quantile(0.9).shape == y.shape
