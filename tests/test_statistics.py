"""Intervals against the published table of Student's t, and how often those of two-way samples are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mamlzoo.statistics import Crossed, mean_and_ci95, t_probability, t_quantile

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


def area(y, x):
    """By trapezoids; numpy's own function has one name before 2.0 and another after."""
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())


@given(st.floats(0.01, 30), st.integers(1, 60))
def test_the_probability_is_the_integral_of_the_density(t, degrees):
    x = np.linspace(0, t, 4001)
    density = (1 + x**2 / degrees) ** (-(degrees + 1) / 2)
    whole = np.linspace(-np.pi / 2, np.pi / 2, 200_001)[1:-1]  # x = √ν·tan u makes the whole line finite
    norm = area(np.cos(whole) ** (degrees - 1), whole) * np.sqrt(degrees)
    assert t_probability(t, degrees) == pytest.approx(2 * area(density, x) / norm, abs=2e-4)


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


def interval(values):
    return Crossed.of(values).interval()


def crossed(seeds, tasks, *, of_seeds, of_tasks, noise, generator):
    """Crossed random effects: d_st = a_s + b_t + e_st with the standard deviations given, of mean 0."""
    a, b = generator.normal(size=(seeds, 1)), generator.normal(size=(1, tasks))
    return of_seeds * a + of_tasks * b + noise * generator.normal(size=(seeds, tasks))


def test_the_variance_is_that_of_random_effects_with_the_noise_counted_twice():
    generator = np.random.default_rng(0)
    drawn = [Crossed.of(crossed(20, 30, of_seeds=0.3, of_tasks=0.5, noise=2, generator=generator)) for _ in range(2000)]
    a, b, e = 0.3**2 / 20, 0.5**2 / 30, 2**2 / 600
    assert np.mean([one.of_seeds / 20 + one.of_tasks / 30 for one in drawn]) == pytest.approx(a + b + 2 * e, rel=0.02)
    assert np.mean([one.of_both for one in drawn]) == pytest.approx(2**2, rel=0.02)


def test_four_seeds_that_differ_alone_have_the_t_interval_of_their_means():
    # Columns are alike, so the row means 1 … 4 are all there is: 2.5 ± 3.182·√(5/3)/√4.
    values = np.repeat([[1.0], [2.0], [3.0], [4.0]], 10, axis=1)
    assert interval(values) == pytest.approx((2.5, 0.446, 4.554), abs=1e-3)


def test_two_rows_and_three_columns_by_hand():
    # Row means 2 and 4, so s_a² = 2; column means 1, 3, 5, so s_b² = 4; 12.706·√(2/2 + 4/3).
    values = np.array([[0.0, 2.0, 4.0], [2.0, 4.0, 6.0]])
    half = 12.706 * np.sqrt(2 / 2 + 4 / 3)
    assert interval(values) == pytest.approx((3, 3 - half, 3 + half), abs=1e-3)
    assert Crossed.of(values).of_both == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_with_one_row_or_column_it_is_the_t_interval_of_the_others(axis):
    values = np.random.default_rng(0).normal(size=12)
    mean, half = mean_and_ci95(values)
    assert interval(np.expand_dims(values, axis)) == pytest.approx((mean, mean - half, mean + half))


SOME = arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 9)), elements=st.floats(-100, 100, width=32))


@settings(max_examples=30, deadline=None)
@given(SOME, st.floats(-10, 10))
def test_adding_a_number_moves_the_interval_by_it(values, shift):
    moved = np.array(interval(values)) + shift
    np.testing.assert_allclose(interval(values + shift), moved, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(SOME)
def test_the_other_way_round_the_interval_is_mirrored(values):
    mean, low, high = interval(values)
    np.testing.assert_allclose(interval(-values), (-mean, -high, -low), atol=1e-9)


@given(st.floats(-1e30, 1e30), st.integers(2, 6), st.integers(1, 20))
@settings(max_examples=20, deadline=None)
def test_equal_values_make_a_point(value, seeds, tasks):
    assert interval(np.full((seeds, tasks), value)) == (value, value, value)


def test_one_value_has_no_interval():
    mean, low, high = interval(np.array([[2.0]]))
    assert (mean, np.isnan(low), np.isnan(high)) == (2.0, True, True)


@settings(max_examples=30, deadline=None)
@given(SOME)
def test_the_order_of_rows_and_columns_means_nothing(values):
    generator = np.random.default_rng(1)
    reordered = values[generator.permutation(len(values))][:, generator.permutation(values.shape[1])]
    np.testing.assert_allclose(interval(reordered), interval(values), rtol=1e-9, atol=1e-9)


EFFECTS = {
    "seeds alone": {"of_seeds": 1, "of_tasks": 0, "noise": 0},
    "mostly seeds": {"of_seeds": 1, "of_tasks": 0.5, "noise": 0.5},
    "mostly tasks": {"of_seeds": 0.3, "of_tasks": 1, "noise": 1},
    "noise alone": {"of_seeds": 0, "of_tasks": 0, "noise": 1},
}


@pytest.mark.parametrize("confidence", [0.95, 0.99])
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("effects", EFFECTS)
def test_an_interval_leaves_out_the_true_mean_no_more_often_than_it_says(effects, seeds, confidence):
    repeats, false = 1000, 1 - confidence
    generator = np.random.default_rng(seeds)
    drawn = [Crossed.of(crossed(seeds, 20, generator=generator, **EFFECTS[effects])) for _ in range(repeats)]
    rate = np.mean([abs(one.mean) > one.half(confidence) for one in drawn])
    chance = np.sqrt(false * (1 - false) / repeats)
    assert rate <= false + 3 * chance
    if effects == "seeds alone":  # where it is Student's own
        assert rate >= false - 3 * chance


def of_summary(mean, of_seeds, seeds, *, of_tasks=0.0, of_both=0.0, tasks=1000):
    return Crossed(mean, of_seeds, of_tasks, of_both, seeds, tasks)


def test_so_many_seeds_are_needed_as_the_table_of_t_says():
    # A difference of one standard deviation: 6 seeds have 2.571/√6 = 1.05, 7 have 2.447/√7 = 0.92.
    assert of_summary(1.0, 1.0, 2).seeds_needed() == 7
    assert of_summary(-1.0, 1.0, 2).seeds_needed() == 7
    # Half of one: 17 have 2.120/√17 = 0.514, 18 have 2.110/√18 = 0.497.
    assert of_summary(0.5, 1.0, 5).seeds_needed() == 18


def test_noise_between_seed_and_task_falls_with_more_seeds_and_what_tasks_differ_by_does_not():
    assert of_summary(0.1, 0.0, 2, of_tasks=2.0, of_both=4.0, tasks=400).seeds_needed() is not None
    assert of_summary(0.1, 0.0, 2, of_tasks=4.0, of_both=0.0, tasks=400).seeds_needed() is None


def test_no_number_is_named_where_one_seed_has_no_spread_or_none_would_do():
    assert of_summary(1.0, 0.0, 1).seeds_needed() is None
    assert of_summary(0.001, 1.0, 5).seeds_needed() is None
    assert of_summary(0.0, 1.0, 5).seeds_needed() is None


@settings(max_examples=40, deadline=None)
@given(SOME)
def test_where_0_lies_within_the_interval_more_seeds_are_needed_than_there_are(values):
    found = Crossed.of(values)
    needed = found.seeds_needed()
    if found.seeds > 1 and found.half() >= abs(found.mean):
        assert needed is None or needed > found.seeds


def test_about_half_of_the_samples_with_as_many_seeds_as_were_said_leave_out_0():
    generator, found = np.random.default_rng(0), []
    needed = of_summary(0.8, 1.0, 5).seeds_needed()
    for _ in range(400):
        values = 0.8 + crossed(needed, 20, of_seeds=1, of_tasks=0, noise=0, generator=generator)
        found.append(interval(values).low > 0)
    assert 0.4 < np.mean(found) < 0.7
