"""Heads that are solved by linear algebra, and what reads a sequence, trained by each plan: the same numbers."""

from __future__ import annotations

import pytest
import torch

import mamlzoo
from mamlzoo_algorithms.lr_d2 import LRD2
from mamlzoo_algorithms.matching_networks import MatchingNetworks
from mamlzoo_algorithms.r2d2 import R2D2
from mamlzoo_algorithms.recurrent import Recurrent
from mamlzoo_algorithms.relation_networks import RelationNetworks
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine

TASK, NUMBERS = Blobs(ways=3, shots="1..3", queries=4), Sine(shots="1..3", queries=4)
CASES = {
    "matching-networks": (TASK, MatchingNetworks(embedding=4)),
    "relation-networks": (TASK, RelationNetworks(embedding=4)),
    "r2d2": (TASK, R2D2(embedding=4)),
    "r2d2 of numbers": (NUMBERS, R2D2(embedding=8)),
    "lr-d2": (TASK, LRD2(embedding=4, newton_steps=2)),
    "recurrent": (NUMBERS, Recurrent(state=4, shuffle=True)),
}
SETTINGS = {
    "meta_batch": 3, "iterations": 4, "test_tasks": 6, "test_steps": 1, "optimizer": "sgd", "outer_lr": 0.02,
    "seeds": [0, 1], "threads": 1,
}  # fmt: skip


def trained(name, plan):
    task, algorithm = CASES[name]
    result = mamlzoo.run(task, MLP(hidden=(8,), activation="tanh"), algorithm, plan=plan, **SETTINGS)
    assert result.checkpoint.plan.plan == plan
    return mamlzoo.leaves(result.meta), torch.as_tensor(result.evaluation.values[result.evaluation.metric])


@pytest.mark.parametrize("name", CASES)
def test_episodes_at_once_give_what_one_after_another_gives(name):
    torch.testing.assert_close(trained(name, "vmap"), trained(name, "loop"), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_compiled_meta_steps_give_what_eager_ones_give(name):
    torch.testing.assert_close(trained(name, "compile"), trained(name, "vmap"), rtol=1e-4, atol=1e-5)
