"""Harmonics: that all points lie on two waves, one twice as fast as the other."""

from __future__ import annotations

import pytest
import torch

from mamlzoo.errors import UsageError
from mamlzoo_tasks.harmonics import Harmonics


def sample(task, count=50, split="train", seed=0):
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(seed))


def test_support_and_query_lie_on_one_sum_of_a_wave_and_its_first_overtone():
    support, query = sample(Harmonics(shots=10, frequency_min=6.0, frequency_max=6.0), split="test")

    def design(x):
        return torch.cat([part for k in (6, 12) for part in ((k * x).sin(), (k * x).cos())], -1).double()

    weights = torch.linalg.lstsq(design(support.x), support.y.double()).solution
    errors = (design(query.x) @ weights - query.y).abs().amax((1, 2))
    assert float(errors.median()) < 1e-3  # of some, ten points in one place do not tell four numbers


def test_inputs_lie_around_a_place_of_the_episodes_own():
    x = sample(Harmonics(queries=400), 1000).query.x[..., 0]
    assert float(x.std(1).mean()) == pytest.approx(1, abs=0.02)
    assert float(x.mean(1).std()) == pytest.approx(8 / 12**0.5, abs=0.1)


def test_who_answers_0_errs_by_1():
    assert float(sample(Harmonics(), 5000, "test").query.y.square().mean()) == pytest.approx(1, abs=0.05)


def test_noise_is_on_support_and_training_alone():
    plain, noisy = (sample(Harmonics(noise=noise), 500, "test") for noise in (0.0, 0.3))
    assert torch.equal(plain.query.y, noisy.query.y)
    assert float((noisy.support.y - plain.support.y).std()) == pytest.approx(0.3, rel=0.05)


def test_figures_see_the_same_support_sets():
    plain, fine = (sample(task, split="test") for task in (Harmonics(), Harmonics().on_grid(9)))
    assert torch.equal(plain.support.y, fine.support.y)
    assert fine.query.y.shape == (50, 9, 1)


def test_ranges_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="task 'harmonics': frequency_min must not exceed frequency_max, 8 > 7"):
        Harmonics(frequency_min=8.0)
