"""What adapting costs, counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import mamlzoo
from mamlzoo.engine.adaptation_cost import FACTORISATIONS, adaptation_flops
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.episodes import TestSet
from mamlzoo_algorithms.maml import MAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine


def test_a_step_of_gradient_descent_costs_three_passes_but_for_the_gradient_by_the_inputs():
    # 1-40-40-1: 40 + 1600 + 40 products an example; forward, by the weights, and by the inputs of all but the first.
    task = Sine(shots=10, test_points=50)
    bound = bind_seeds(task, MLP(), MAML(), (0,), torch.device("cpu"))
    episode = mamlzoo.tree_map(lambda leaf: leaf[0], TestSet(task, 1, 0, torch.device("cpu")).episode(0))
    predicting, step = 2 * 50 * 1680, 2 * 10 * (1680 + 1680 + 1640)
    assert adaptation_flops(bound, episode, 2) == [predicting, predicting + step, predicting + 2 * step]


@pytest.mark.parametrize(
    ("solve", "flops"),
    [
        (lambda a, b: torch.linalg.cholesky(a), 6**3 / 3),
        (lambda a, b: torch.cholesky_solve(b, a), 2 * 6**2 * 3),
        (lambda a, b: torch.linalg.solve_triangular(a, b, upper=False), 6**2 * 3),
        (lambda a, b: torch.linalg.solve(a, b), 2 / 3 * 6**3 + 2 * 6**2 * 3),
        (lambda a, b: torch.linalg.inv(a), 2 * 6**3),
    ],
    ids=["cholesky", "cholesky solve", "triangular", "solve", "inverse"],
)
def test_linear_algebra_counts_by_its_leading_terms(solve, flops):
    a, b = torch.eye(6).expand(4, 6, 6) * 2, torch.ones(4, 6, 3)
    with FlopCounterMode(display=False, custom_mapping=FACTORISATIONS) as counter:
        solve(a, b)
    assert counter.get_total_flops() == 4 * flops
