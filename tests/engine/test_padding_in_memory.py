"""Where a set lies in memory is not what its padding holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import mamlzoo
from mamlzoo import Batch, Range, trees
from mamlzoo.contracts.noise import keys
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.padding_check import seen_in
from mamlzoo_algorithms.dkt import DKT
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.linear import Linear


def moved(leaf, by):
    """The same numbers, so many behind where an allocation begins."""
    return torch.empty(leaf.numel() + by)[by:].view(leaf.shape).copy_(leaf)


@pytest.mark.parametrize("by", range(4))
def test_a_set_may_begin_at_any_address(by):
    task, cpu = Linear(shots=Range(3, 10)), torch.device("cpu")
    bound = bind_seeds(task, MLP(hidden=()), DKT(kernel="linear", embedding=5), (0,), cpu)
    drawn = task.sample(1, split="train", generator=torch.Generator().manual_seed(3))
    support, query = trees.index(replace(drawn, key=keys(0, 1)), 0)
    placed = Batch(moved(support.x, by), moved(support.y, by), support.mask)
    assert not support.mask.all()
    assert seen_in(bound, mamlzoo.Episode(placed, query, keys(0, 1)[0])) is None
