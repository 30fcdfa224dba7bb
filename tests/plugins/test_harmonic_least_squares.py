"""Harmonic least squares: its closed form, what it recovers, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Spec
from mamlzoo.errors import UsageError
from mamlzoo_algorithms.harmonic_least_squares import CONSTITUENTS, HarmonicLeastSquares


def predicted(algorithm, support, x):
    learner, meta = mamlzoo.bind(algorithm, {}, nn.functional.mse_loss, Spec((1,), 1))
    meta = mamlzoo.tree_map(lambda leaf: leaf.detach().double(), meta)
    return algorithm.predict(learner, meta, algorithm.start(learner, meta, support), x)


def curve(hours, level, **waves):
    """A level and (amplitude, phase) of each constituent, at hours."""
    return level + sum(
        amplitude * torch.cos(math.radians(CONSTITUENTS[name].speed) * hours - phase)
        for name, (amplitude, phase) in waves.items()
    )


@pytest.mark.parametrize("sizes", ["equal", "equilibrium"])
def test_a_month_of_readings_gives_the_constituents_back(sizes):
    waves = {"M2": (1.2, 0.3), "S2": (0.4, 2.0), "N2": (0.2, -1.0), "K1": (0.3, 1.0), "O1": (0.25, 4.0)}
    hours = torch.arange(0, 24 * 30, 1.0).double()[:, None]
    later = torch.tensor([[2000.0], [2003.5]]).double()
    algorithm = HarmonicLeastSquares(ridge=1e-6, sizes=sizes, unit=1.0)
    found = predicted(algorithm, Batch(hours, curve(hours, 0.1, **waves)), later)
    torch.testing.assert_close(found, curve(later, 0.1, **waves), atol=1e-5, rtol=0)


def test_it_is_the_minimum_of_what_its_docstring_says():
    # At the minimum the gradient of ‖Φw − y‖² + λ·Σ(w/s)² is 0, for the w that its predictions at other times imply.
    names, ridge = ("M2", "K1"), 0.3
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(6, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    speed = torch.tensor([math.radians(CONSTITUENTS[name].speed) * 3 for name in names], dtype=torch.float64)
    sizes = torch.tensor([0.91, 0.91, 0.53, 0.91, 0.53], dtype=torch.float64)

    def design(x):
        return torch.cat([torch.ones_like(x), (x * speed).cos(), (x * speed).sin()], 1)

    algorithm = HarmonicLeastSquares(constituents=names, sizes="equilibrium", ridge=ridge)
    other = torch.linspace(-4, 4, 5, dtype=torch.float64)[:, None]
    w = torch.linalg.solve(design(other), predicted(algorithm, Batch(x, y), other))
    gradient = design(x).T @ (design(x) @ w - y) + ridge * w / sizes.square()[:, None]
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-6, rtol=0)


def test_padding_is_as_if_it_were_not_there():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(5, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    there = torch.tensor([True, False, True, True, False])
    query = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None]
    padded, plain = (
        predicted(HarmonicLeastSquares(), batch, query) for batch in (Batch(x, y, there), Batch(x[there], y[there]))
    )
    torch.testing.assert_close(padded, plain)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"constituents": ("M2", "X9")}, "there is no 'X9'; there are M2, S2"),
        ({"constituents": ()}, "constituents must name one at least, as M2"),
        ({"constituents": ("M2", "M2")}, "constituents must differ, not M2, M2"),
        ({"ridge": 0.0}, "ridge must be above 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, complaint):
    with pytest.raises(UsageError, match=complaint):
        HarmonicLeastSquares(**options)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (Spec((2,), 1), "takes one input, the time, and the task has 2"),
        (Spec((1,), 3, "classification"), "predicts numbers, and the task is a classification"),
    ],
)
def test_tasks_without_a_time_are_refused(spec, complaint):
    with pytest.raises(UsageError, match=complaint):
        HarmonicLeastSquares().networks(spec)
