"""Intervals against the published table of Student's t, the bootstrap against all of its resamples."""

from __future__ import annotations

from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mamlzoo.statistics import (
    expanded_tail,
    mean_and_ci95,
    pigeonhole_ci95,
    pigeonhole_variance,
    t_probability,
    t_quantile,
)

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


@pytest.mark.parametrize(("degrees", "at95"), [row[:2] for row in TABLE])
def test_the_expanded_tail_is_that_of_the_tables_quantile(degrees, at95):
    n = degrees + 1
    assert expanded_tail(n) == pytest.approx(NormalDist().cdf(-np.sqrt(n / degrees) * at95), rel=0.02)


def crossed(seeds, tasks, *, of_seeds, of_tasks, noise, generator):
    """Crossed random effects: d_st = a_s + b_t + e_st with the standard deviations given, of mean 0."""
    a, b = generator.normal(size=(seeds, 1)), generator.normal(size=(1, tasks))
    return of_seeds * a + of_tasks * b + noise * generator.normal(size=(seeds, tasks))


def test_the_pigeonhole_variance_is_that_of_all_its_resamples():
    values = np.random.default_rng(0).normal(size=(3, 4))
    means = [
        values[np.ix_(rows, columns)].mean()
        for rows in product(range(3), repeat=3)
        for columns in product(range(4), repeat=4)
    ]
    assert pigeonhole_variance(values) == pytest.approx(np.var(means), rel=1e-12)


def test_with_one_row_it_is_the_plain_bootstraps_variance():
    values = np.random.default_rng(0).normal(size=(1, 50))
    assert pigeonhole_variance(values) == pytest.approx(values.var() / 50, rel=1e-12)


def test_the_pigeonhole_variance_is_owens_for_random_effects():
    generator = np.random.default_rng(0)
    drawn = [
        pigeonhole_variance(crossed(20, 30, of_seeds=0.3, of_tasks=0.5, noise=2, generator=generator))
        for _ in range(2000)
    ]
    a, b, e = 0.3**2 / 20, 0.5**2 / 30, 2**2 / 600
    exact = a * 19 / 20 + b * 29 / 30 + e * (19 / 20 + 29 / 30 + 19 * 29 / 600)  # about a + b + 3e
    assert np.mean(drawn) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (60, 300)])
def test_with_many_of_both_the_ends_are_those_of_the_normal_distribution(shape):
    values = crossed(*shape, of_seeds=1, of_tasks=1, noise=1, generator=np.random.default_rng(0))
    mean, low, high = pigeonhole_ci95(values)
    n = min(length for length in shape if length > 1)
    half = t_quantile(n - 1) * np.sqrt(n / (n - 1) * pigeonhole_variance(values))
    assert mean == pytest.approx(values.mean())
    assert [low, high] == pytest.approx([mean - half, mean + half], abs=0.05 * half)


def test_four_rows_or_fewer_have_the_t_interval_of_their_means():
    # Columns are alike, so the row means 1 … 4 are all there is: 2.5 ± 3.182·√(5/3)/√4.
    values = np.repeat([[1.0], [2.0], [3.0], [4.0]], 10, axis=1)
    assert pigeonhole_ci95(values) == pytest.approx((2.5, 0.446, 4.554), abs=1e-3)


SOME = arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 9)), elements=st.floats(-100, 100, width=32))


@settings(max_examples=30, deadline=None)
@given(SOME, st.floats(-10, 10))
def test_adding_a_number_moves_the_interval_by_it(values, shift):
    moved = np.array(pigeonhole_ci95(values)) + shift
    np.testing.assert_allclose(pigeonhole_ci95(values + shift), moved, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(SOME)
def test_the_other_way_round_the_interval_is_mirrored(values):
    mean, low, high = pigeonhole_ci95(values)
    np.testing.assert_allclose(pigeonhole_ci95(-values), (-mean, -high, -low), atol=1e-9)


@given(st.floats(-1e30, 1e30), st.integers(2, 6), st.integers(1, 20))
@settings(max_examples=20, deadline=None)
def test_equal_values_make_a_point(value, seeds, tasks):
    assert pigeonhole_ci95(np.full((seeds, tasks), value)) == (value, value, value)


def test_one_value_has_no_interval():
    mean, low, high = pigeonhole_ci95(np.array([[2.0]]))
    assert (mean, np.isnan(low), np.isnan(high)) == (2.0, True, True)


def reordered(values):
    generator = np.random.default_rng(1)
    return values[generator.permutation(len(values))][:, generator.permutation(values.shape[1])]


def test_the_order_of_rows_and_columns_means_nothing_to_few_rows():
    values = np.random.default_rng(0).normal(size=(4, 30))
    assert pigeonhole_ci95(reordered(values)) == pytest.approx(pigeonhole_ci95(values), abs=1e-12)


def test_the_order_of_rows_and_columns_moves_percentiles_by_no_more_than_monte_carlo_error():
    values = np.random.default_rng(0).normal(size=(10, 30))
    mean, low, high = pigeonhole_ci95(values)
    assert pigeonhole_ci95(reordered(values)) == pytest.approx((mean, low, high), abs=0.05 * (high - low))


def coverage(repeats, seeds, **effects):
    """How often the interval holds the true mean, 0."""
    generator = np.random.default_rng(0)
    drawn = [pigeonhole_ci95(crossed(seeds, 20, generator=generator, **effects)) for _ in range(repeats)]
    return np.mean([low <= 0 <= high for _, low, high in drawn])


@pytest.mark.parametrize("seeds", [2, 3, 4])
def test_a_few_seeds_cover_the_mean_at_least_as_often_as_they_say(seeds):
    # 2 seeds' own percentiles would do so half the time.
    assert coverage(500, seeds, of_seeds=1, of_tasks=0.1, noise=0.1) > 0.93


@pytest.mark.slow
@pytest.mark.parametrize(
    ("effects", "at_most"),
    [
        ({"of_seeds": 1, "of_tasks": 0, "noise": 0}, 0.95),  # the range of 5 holds it 1 − 2/2⁵ = 0.9375 times
        ({"of_seeds": 1, "of_tasks": 0.5, "noise": 0.5}, 0.98),
        ({"of_seeds": 0.3, "of_tasks": 1, "noise": 1}, 1),
        ({"of_seeds": 0, "of_tasks": 0, "noise": 1}, 1),
    ],
    ids=["seeds alone", "mostly seeds", "mostly tasks", "noise alone"],
)
def test_five_seeds_cover_the_mean_and_where_noise_is_large_far_more_often(effects, at_most):
    assert 0.92 <= coverage(2000, 5, **effects) <= at_most
