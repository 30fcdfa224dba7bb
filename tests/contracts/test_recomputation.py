"""Recomputed inner steps: the same meta-gradient, from less memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from mamlzoo import trees
from mamlzoo.discovery.entry_points import installed
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.gradients import EAGER
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")


def gradient(task, algorithm, plan, recompute):
    seeds = (0, 1)
    bound = bind_seeds(task, MLP(hidden=(16, 16)), algorithm, seeds, CPU, torch.float64, recompute=recompute)
    episodes = trees.index(TrainingStream(task, seeds, 3, CPU, torch.float64).block(0), 0)
    meta = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta)
    return EAGER[plan](bound, "mean", None)(meta, episodes, torch.tensor(0.0)).gradient


@pytest.mark.parametrize("plan", EAGER)
@pytest.mark.parametrize("task", [Sine(), Blobs()], ids=lambda task: task.name)
@pytest.mark.parametrize("algorithm", ["maml", "anil", "meta-sgd"])
def test_recomputing_changes_no_number(algorithm, task, plan):
    algorithm = installed().make("algorithm", algorithm, {"inner_steps": 3})
    kept, again = (gradient(task, algorithm, plan, recompute) for recompute in (False, True))
    for a, b in zip(trees.leaves(kept), trees.leaves(again), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


PROGRAM = """
import sys, torch
from mamlzoo import trees
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.memory import peak_memory
from mamlzoo.engine.gradients import EAGER
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo_algorithms.maml import MAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

torch.set_num_threads(1)
task, cpu = Sine(shots=200), torch.device("cpu")
bound = bind_seeds(task, MLP(), MAML(inner_steps=20), (0,), cpu, recompute=sys.argv[1] == "True")
episodes = trees.index(TrainingStream(task, (0,), 50, cpu).block(0), 0)
meta = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta)
step = EAGER["vmap"](bound, "mean", None)
step(meta, trees.index(episodes, (slice(None), slice(1))), torch.tensor(0.0))
peak_memory(cpu)
before = peak_memory(cpu)
step(meta, episodes, torch.tensor(0.0))
print(peak_memory(cpu) - before)
"""


@pytest.mark.slow
def test_recomputing_takes_less_memory():
    kept, again = (
        float(subprocess.run([sys.executable, "-c", PROGRAM, str(recompute)], capture_output=True, check=True).stdout)
        for recompute in (False, True)
    )
    assert again < 0.7 * kept
