"""Random numbers as values: functions of a key and a place, and of the distributions that they are called after."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import vmap

from mamlzoo import Noise, UsageError
from mamlzoo.contracts.noise import keys

MANY = 200_000
MASK = 2**64 - 1


def noise(key=3, dtype=torch.float32):
    return Noise(torch.tensor(key), dtype)


def words(seed, count):
    """What SplitMix64 gives for a seed, by whole numbers of Python's own."""

    def mixed(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    return [mixed((seed + (at + 1) * 0x9E3779B97F4A7C15) & MASK) for at in range(count)]


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 5))
def test_uniform_numbers_are_the_leading_digits_of_splitmix64(key, place):
    own = noise(key, torch.float64)
    for _ in range(place):
        own.uniform(1)
    assert own.uniform(4).tolist() == [word // 2**11 / 2**53 for word in words(words(key, place + 1)[place], 4)]


def test_splitmix64_is_the_published_one():
    # The first outputs for the seed 1234567, as the reference implementation's own test has them.
    assert words(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normal_numbers_have_the_moments_and_the_quantiles_of_a_normal_distribution(dtype):
    drawn = noise(dtype=dtype).normal(MANY)
    off = 5 / math.sqrt(MANY)  # five standard errors of a mean
    for power, moment in {1: 0, 2: 1, 3: 0, 4: 3}.items():
        spread = math.sqrt({1: 1, 2: 2, 3: 15, 4: 96}[power])
        assert abs(float((drawn.double() ** power).mean()) - moment) < off * spread
    for quantile, share in {-1.959964: 0.025, 0.0: 0.5, 1.281552: 0.9}.items():
        assert abs(float((drawn < quantile).double().mean()) - share) < off


def test_uniform_numbers_fill_the_interval_evenly_and_do_not_follow_each_other():
    drawn = noise().uniform(MANY).double()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts = torch.histc(drawn, 100, 0, 1)
    assert float(((counts - MANY / 100) ** 2 / (MANY / 100)).sum()) < 99 + 5 * math.sqrt(2 * 99)
    centred = drawn - drawn.mean()
    for lag in (1, 2, 64):
        assert abs(float((centred[lag:] * centred[:-lag]).mean()) * 12) < 5 / math.sqrt(MANY)


def test_a_permutation_holds_each_number_once_and_bernoulli_its_share():
    own = noise()
    assert sorted(own.permutation(50).tolist()) == list(range(50))
    assert abs(float(own.bernoulli(0.3, MANY).mean()) - 0.3) < 5 * math.sqrt(0.21 / MANY)


def test_one_key_gives_the_same_draws_in_the_same_order_and_another_key_others():
    one, two, other = noise(), noise(), noise(4)
    first = one.normal(3)
    assert torch.equal(first, two.normal(3))
    assert not torch.equal(first, one.normal(3))
    assert not torch.equal(first, other.normal(3))


def test_keys_of_neighbouring_seeds_are_unrelated():
    one, two = keys(0, 1000), keys(1, 1000)
    assert len(torch.cat([one, two]).unique()) == 2000


def test_several_keys_at_once_draw_what_each_draws_alone():
    several = torch.tensor([5, -7, 2**61])
    together = vmap(lambda key: Noise(key).normal(4))(several)
    assert torch.equal(together, torch.stack([Noise(key).normal(4) for key in several]))


def test_what_draws_in_a_branch_moves_nothing_outside_of_it():
    one, two = noise(), noise()
    one.branch(0).normal(100)
    assert torch.equal(one.normal(3), two.normal(3))


def test_a_branch_by_number_is_the_same_each_time_and_the_next_branch_another():
    own = noise()
    assert torch.equal(own.branch(1).normal(3), own.branch(1).normal(3))
    drawn = [own.branch(0), own.branch(1), own.branch(), own.branch(), own]
    numbers = torch.cat([each.normal(3) for each in drawn])
    assert len(numbers.unique()) == 15


def test_where_there_is_no_key_what_is_missing_is_said():
    with pytest.raises(UsageError, match="random numbers are asked for where there are none: pass key= to"):
        Noise().normal(1)
