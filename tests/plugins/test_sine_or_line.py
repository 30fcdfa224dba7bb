"""Sines and lines: that every function is one of the two, in the ranges that are said."""

from __future__ import annotations

import math

import pytest
import torch

from mamlzoo.errors import UsageError
from mamlzoo_tasks.sine_or_line import SineOrLine


def sample(task, count=1000, split="test", seed=0):
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(seed))


def fit(query, columns):
    """Weights and largest error of each function on these columns."""
    design = torch.stack(columns, -1).double()
    weights = torch.linalg.lstsq(design, query.y.double()).solution
    return weights[..., 0], (design @ weights - query.y).abs().amax((1, 2))


def test_half_of_the_functions_are_lines_and_the_others_sines_in_their_ranges():
    query = sample(SineOrLine()).query
    x = query.x[..., 0]
    line, off_line = fit(query, [x, torch.ones_like(x)])
    sine, off_sine = fit(query, [x.sin(), -x.cos()])
    assert bool(((off_line < 1e-4) | (off_sine < 1e-4)).all())
    assert float((off_line < 1e-4).double().mean()) == pytest.approx(0.5, abs=0.06)
    assert float(line[off_line < 1e-4].abs().max()) == pytest.approx(3, abs=0.05)
    amplitude, phase = sine.norm(dim=1), torch.atan2(sine[:, 1], sine[:, 0])[off_sine < 1e-4]
    assert float(amplitude[off_sine < 1e-4].max()) == pytest.approx(5, abs=0.1)
    assert -1e-3 < phase.min() < phase.max() < math.pi + 1e-3


@pytest.mark.parametrize(("lines", "columns"), [(1.0, lambda x: [x, x * 0 + 1]), (0.0, lambda x: [x.sin(), x.cos()])])
def test_one_kind_alone_can_be_asked_for(lines, columns):
    query = sample(SineOrLine(lines=lines), 50).query
    assert float(fit(query, columns(query.x[..., 0]))[1].max()) < 1e-4


def test_noise_is_on_the_support_set_and_not_on_the_grid():
    plain, noisy = (sample(SineOrLine(noise=noise)) for noise in (0.0, 0.3))
    assert torch.equal(plain.query.y, noisy.query.y)
    assert float((noisy.support.y - plain.support.y).std()) == pytest.approx(0.3, rel=0.05)


def test_ranges_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="task 'sine-or-line': amplitude_min must not exceed amplitude_max, 6 > 5"):
        SineOrLine(amplitude_min=6.0)
