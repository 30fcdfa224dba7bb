"""Linear functions: their distribution, their noise, and the error that nobody falls below."""

from __future__ import annotations

import pytest
import torch

from mamlzoo import Range
from mamlzoo.testing import conformance
from mamlzoo_tasks.linear import Linear


def sample(task, count=4000, split="test", seed=0):
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(seed))


def fitted(batch):
    """The shortest w that fits the points best, by torch's own solver of least squares."""
    x, y = batch.x.double(), batch.y.double()
    return torch.linalg.lstsq(x, y, driver="gelsd").solution


def test_shapes():
    support, query = sample(Linear(dimensions=3, shots=4, queries=6), count=2)
    assert (support.x.shape, support.y.shape) == ((2, 4, 3), (2, 4, 1))
    assert (query.x.shape, query.y.shape) == ((2, 6, 3), (2, 6, 1))


@pytest.mark.parametrize("split", ["train", "test"])
def test_support_and_query_lie_on_one_function(split):
    support, query = sample(Linear(dimensions=3, shots=8), count=50, split=split)
    torch.testing.assert_close(query.x.double() @ fitted(support), query.y.double(), atol=1e-3, rtol=1e-3)


def test_inputs_and_functions_are_standard_normal():
    support, _ = sample(Linear(dimensions=3, shots=8))
    w = fitted(support)[..., 0]
    for numbers in (support.x.flatten(0, 1).double(), w):
        torch.testing.assert_close(torch.cov(numbers.T), torch.eye(3).double(), atol=0.1, rtol=0)
        torch.testing.assert_close(numbers.mean(0), torch.zeros(3).double(), atol=0.1, rtol=0)


@pytest.mark.parametrize("shots", [1, 2, 4, 5, 8])
def test_least_squares_has_the_error_that_the_docstring_says(shots):
    """The d − k directions that k points say nothing of cost 1 each: error (d − k)/d, and 0 from d on."""
    task = Linear(dimensions=5, shots=shots)
    support, query = sample(task)
    errors = (query.x.double() @ fitted(support) - query.y.double()).square().mean((1, 2)) / 5
    allowed = 4 * float(errors.std()) / len(errors) ** 0.5 + 1e-6
    assert float(errors.mean()) == pytest.approx(max(1 - shots / 5, 0), abs=allowed)


def test_the_error_is_one_where_zero_is_answered():
    query = sample(Linear(dimensions=7)).query
    found = Linear(dimensions=7).metrics(torch.zeros_like(query.y), query.y)
    assert list(found) == ["error", "mse"]
    assert float(found["error"]) == pytest.approx(1, abs=0.05)
    assert float(found["mse"]) == pytest.approx(7 * float(found["error"]))


def test_noise_is_on_support_and_training_query_but_not_on_test_queries():
    task = Linear(dimensions=2, shots=1, queries=20, noise=0.5)

    def residuals(split):
        # Of the true w, which the points of test queries give exactly.
        support, query = sample(task, split=split)
        w = fitted(query)
        return [float((b.y.double() - b.x.double() @ w).std()) for b in (support, query)]

    on_support, on_test_query = residuals("test")
    assert on_support == pytest.approx(0.5, abs=0.03)
    assert on_test_query < 1e-5
    assert residuals("train")[1] == pytest.approx(0.5 * (18 / 20) ** 0.5, abs=0.03)  # two of 20 degrees are fitted


def test_sizes_may_be_drawn():
    support, _ = sample(Linear(shots=Range(2, 6)), count=300)
    assert support.x.shape[1] == 6
    assert set(support.mask.sum(1).tolist()) == {2, 3, 4, 5, 6}


test_it_conforms = conformance(Linear(), Linear(shots=Range(1, 4), noise=0.1))
