"""Interpolation: the same as numpy's, and padding has no say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Spec
from mamlzoo.errors import UsageError
from mamlzoo_algorithms.interpolation import Interpolation


def predicted(support, x):
    learner, meta = mamlzoo.bind(Interpolation(), {}, nn.functional.mse_loss, Spec((1,), 1))
    return Interpolation().predict(learner, meta, Interpolation().start(learner, meta, support), x)


def points(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, 1, generator=generator, dtype=torch.float64) for _ in range(2))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_it_is_numpys(n):
    x, y = points(n)
    at = torch.linspace(-4, 4, 41, dtype=torch.float64)[:, None]
    order = x[:, 0].argsort()
    expected = np.interp(at[:, 0].numpy(), x[order, 0].numpy(), y[order, 0].numpy())
    np.testing.assert_allclose(predicted(Batch(x, y), at)[:, 0].numpy(), expected, atol=1e-12)


def test_it_passes_through_every_point():
    x, y = points(6)
    torch.testing.assert_close(predicted(Batch(x, y), x), y)


def test_padding_is_as_if_it_were_not_there():
    x, y = points(6)
    there = torch.tensor([True, False, True, True, False, False])
    at = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None]
    torch.testing.assert_close(predicted(Batch(x, y, there), at), predicted(Batch(x[there], y[there]), at))


def test_two_points_at_one_input_give_finite_numbers():
    same = Batch(torch.zeros(2, 1), torch.tensor([[1.0], [2.0]]))
    assert predicted(same, torch.tensor([[-1.0], [0.0], [1.0]])).isfinite().all()


def test_several_inputs_are_refused():
    with pytest.raises(UsageError, match="takes one input, and the task has 2"):
        Interpolation().networks(Spec((2,), 1))
