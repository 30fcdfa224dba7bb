"""Every plan gives the same numbers, for every algorithm."""

from __future__ import annotations

import pytest
import torch
from every_algorithm import TRAINED, each, fitting
from hypothesis import given, settings
from hypothesis import strategies as st

from mamlzoo import trees
from mamlzoo.discovery.entry_points import installed
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.gradients import EAGER
from mamlzoo.engine.mapping import looped
from mamlzoo_models.mlp import MLP

CPU = torch.device("cpu")


def problem(algorithm, seeds=(0, 1), meta_batch=3, dtype=torch.float32, **options):
    task = fitting(algorithm).task
    plugin = installed().make("algorithm", algorithm, options) if options else fitting(algorithm).algorithm
    bound = bind_seeds(task, MLP(hidden=(16, 16)), plugin, seeds, CPU, dtype)
    (episodes,) = TrainingStream(task, seeds, meta_batch, CPU, dtype).steps(0, 1)
    meta = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta)
    return bound, meta, episodes


def step(plan, bound, meta, episodes, reduction="mean", chunk=None):
    return EAGER[plan](bound, reduction, chunk)(meta, episodes, torch.tensor(0.0))


def assert_close(a, b, tolerance):
    for x, y in zip(trees.leaves(a), trees.leaves(b), strict=True):
        torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("algorithm", each(TRAINED))
def test_plans_agree(algorithm, reduction):
    case = problem(algorithm)
    assert_close(step("vmap", *case, reduction), step("loop", *case, reduction), 1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 9])
def test_a_chunk_changes_nothing(chunk, reduction):
    case = problem("maml", meta_batch=5, dtype=torch.float64)
    assert_close(step("vmap", *case, reduction, chunk), step("vmap", *case, reduction), 1e-12)


@pytest.mark.parametrize("algorithm", ["maml", "fomaml", "anil", "meta-sgd"])
@pytest.mark.parametrize("inner_steps", [0, 3])
def test_plans_agree_for_any_number_of_inner_steps(algorithm, inner_steps):
    case = problem(algorithm, inner_steps=inner_steps)
    assert_close(step("vmap", *case), step("loop", *case), 1e-5)


@pytest.mark.parametrize("algorithm", each(TRAINED))
@pytest.mark.parametrize("plan", EAGER)
def test_seeds_together_are_the_seeds_alone(algorithm, plan):
    together = step(plan, *problem(algorithm, seeds=(4, 9), dtype=torch.float64))
    for row, seed in enumerate((4, 9)):
        alone = step(plan, *problem(algorithm, seeds=(seed,), dtype=torch.float64))
        assert_close(trees.index(together, slice(row, row + 1)), alone, 1e-9)


@given(order=st.permutations(range(4)))
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("plan", EAGER)
def test_the_order_of_tasks_changes_nothing(plan, order):
    bound, meta, episodes = problem("maml", meta_batch=4, dtype=torch.float64)
    permuted = trees.tree_map(lambda leaf: leaf[:, list(order)], episodes)
    gradient = step(plan, bound, meta, episodes).gradient
    assert_close(step(plan, bound, meta, permuted).gradient, gradient, 1e-12)


def test_the_sum_is_the_mean_times_the_meta_batch():
    case = problem("maml", dtype=torch.float64)
    mean = trees.tree_map(lambda leaf: 3 * leaf, step("vmap", *case, "mean").gradient)
    assert_close(step("vmap", *case, "sum").gradient, mean, 1e-12)


@pytest.mark.parametrize("plan", EAGER)
def test_inputs_are_left_as_they_were(plan):
    bound, meta, episodes = problem("maml")
    before = trees.tree_map(torch.clone, (meta, episodes))
    step(plan, bound, meta, episodes)
    assert_close(before, (meta, episodes), 0)
    assert all(leaf.grad is None for leaf in trees.leaves(meta))


def test_a_python_loop_maps_as_vmap_does():
    def scale(a, x):
        return {"y": a * x}

    a, x = torch.randn(4), torch.randn(4, 3)
    for dims in [(0, 0), (None, 0)]:
        first = a if dims[0] == 0 else a[0]
        assert_close(looped(scale, dims)(first, x), torch.vmap(scale, dims)(first, x), 0)
