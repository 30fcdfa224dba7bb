"""Intervals against the published table of Student's t."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlzoo.statistics import mean_and_ci95, t_probability, t_quantile

# Two-sided 95% and 99%: the NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2.
TABLE = [
    (1, 12.706, 63.657), (2, 4.303, 9.925), (3, 3.182, 5.841), (4, 2.776, 4.604), (9, 2.262, 3.250),
    (10, 2.228, 3.169), (29, 2.045, 2.756), (30, 2.042, 2.750), (100, 1.984, 2.626),
]  # fmt: skip


@pytest.mark.parametrize(("degrees", "at95", "at99"), TABLE)
def test_quantiles_are_those_of_the_table(degrees, at95, at99):
    assert t_quantile(degrees) == pytest.approx(at95, abs=6e-4)
    assert t_quantile(degrees, 0.99) == pytest.approx(at99, abs=6e-4)


def test_many_degrees_approach_the_normal_distribution():
    assert t_quantile(100_000) == pytest.approx(1.95996, abs=1e-4)


@given(st.floats(0.01, 30), st.integers(1, 60))
def test_the_probability_is_the_integral_of_the_density(t, degrees):
    x = np.linspace(0, t, 4001)
    density = (1 + x**2 / degrees) ** (-(degrees + 1) / 2)
    whole = np.linspace(-np.pi / 2, np.pi / 2, 200_001)[1:-1]  # x = √ν·tan u makes the whole line finite
    norm = np.trapezoid(np.cos(whole) ** (degrees - 1), whole) * np.sqrt(degrees)
    assert t_probability(t, degrees) == pytest.approx(2 * np.trapezoid(density, x) / norm, abs=2e-4)


def test_five_samples_by_hand():
    # Mean 3, sample variance 2.5, so the half-width is 2.776·√(2.5/5) = 1.963.
    mean, half = mean_and_ci95(np.array([1.0, 2.0, 3.0, 4.0, 5.0])[:, None])
    assert mean == pytest.approx([3.0])
    assert half == pytest.approx([1.963], abs=1e-3)


def test_one_sample_has_no_interval():
    mean, half = mean_and_ci95(np.array([[2.0, 3.0]]))
    assert mean.tolist() == [2.0, 3.0]
    assert np.isnan(half).all()


def test_an_infinite_sample_makes_an_infinite_mean():
    mean, _ = mean_and_ci95(np.array([[1.0], [np.inf]]))
    assert np.isinf(mean).all()


def test_intervals_cover_the_mean_95_times_in_100():
    samples = np.random.default_rng(0).normal(size=(4, 20_000))
    mean, half = mean_and_ci95(samples)
    assert (np.abs(mean) < half).mean() == pytest.approx(0.95, abs=0.006)
