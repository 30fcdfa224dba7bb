"""Small experiments whose model is code of a user's own, and what runs of them come to."""

from __future__ import annotations

from mamlzoo import trees
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.name_resolution import experiments

SETTINGS = {
    "iterations": 30, "meta_batch": 2, "test_tasks": 6, "test_steps": 1, "plan": "vmap", "threads": 1,
}  # fmt: skip
NET = """
from torch import nn

from beside import WIDTH


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(1, WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, x):
        return self.outer(self.inner(x).tanh())
"""
DIES = """
import os
from pathlib import Path

if os.getppid() == {driver}:  # in a process that was started for a job, and nowhere else
    for left in sorted(Path({folder!r}).glob("death-*"))[:1]:
        left.unlink()
        os.kill(os.getpid(), 9)
"""
"""A process ends as often as there are such files."""


def own_model(folder, before=""):
    """A model in a file with a neighbour."""
    folder.mkdir(exist_ok=True)
    (folder / "beside.py").write_text("WIDTH = 5\n", encoding="utf-8")
    (folder / "net.py").write_text(before + NET, encoding="utf-8")
    return f"{folder / 'net.py'}:Net"


def of_model(model, algorithms=("maml",), **settings):
    return experiments(["sine"], [model], list(algorithms), options={}, seeds=1, **(SETTINGS | settings))


def bits_in(directory):
    """All test losses and θ of a finished run."""
    result = run_directory.load(directory)
    losses = {name: values.tobytes() for name, values in result.evaluation.values.items()}
    return losses, [leaf.numpy().tobytes() for leaf in trees.leaves(result.meta)]
