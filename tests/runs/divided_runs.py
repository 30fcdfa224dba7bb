"""Runs that two workers make together, each in a process of its own: `python divided_runs.py FOLDER NAMES RANK`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from mamlzoo import trees
from mamlzoo.engine.workers import ALONE, group
from mamlzoo.runs import execution
from mamlzoo.runs.config import config_of
from mamlzoo.runs.name_resolution import combined

BUDGET = {"iterations": 12, "meta_batch": 5, "test_tasks": 5, "test_steps": 2, "threads": 1}
FULL = {
    "optimizer_options": {"weight_decay": 1e-3}, "schedule": "cosine", "warmup": 3, "clip_norm": 1.0, "ema": 0.9,
    "select_best": True, "validate_every": 3, "valid_tasks": 4,
}  # fmt: skip
"""Much of what there is to say of an outer loop."""
OF_SEEDS = {
    "by loop": {"seeds": 2, "plan": "loop", "meta_batch": 2},
    "by vmap": {"seeds": 5, "plan": "vmap"},
    "by compile": {"seeds": 4, "plan": "compile"},
    "an optimiser for each": {"seeds": 4, "plan": "vmap", "optimizer": "adafactor"},
    "the best of them": {"seeds": 4, "plan": "vmap", **FULL},
    "with statistics": {"seeds": 4, "plan": "vmap", "algorithm": "maml-plus-plus"},
    "that run off": {"seeds": 4, "plan": "vmap", "outer_lr": 1e30, "iterations": 40},
    "that lose patience": {
        "seeds": 4,
        "plan": "vmap",
        "patience": 1,
        "validate_every": 2,
        "valid_tasks": 4,
        "outer_lr": 0.1,
    },
    "that train nothing": {"seeds": 4, "algorithm": "scratch"},
}
"""Runs of which each worker has seeds of its own."""
OF_TASKS = {
    "by loop": {"plan": "loop"},
    "by vmap": {"plan": "vmap"},
    "by compile": {"plan": "compile"},
    "as a sum": {"plan": "vmap", "meta_reduction": "sum", "clip_norm": 1.0, "clip_per": "task"},
    "the best of them": {"plan": "vmap", **FULL},
    "with rates of groups": {"plan": "vmap", "algorithm": "meta-sgd", "group_lrs": {"rates": 1e-4}},
    "with statistics": {"plan": "vmap", "algorithm": "maml-plus-plus", "meta_reduction": "sum"},
    "of a probabilistic learner": {"plan": "vmap", "algorithm": "alpaca"},
}
"""Runs of which each worker has tasks of its own."""
KINDS = {"seeds": OF_SEEDS, "tasks": OF_TASKS}


def made(of, name, workers=ALONE):
    """What a run ends with: θ, losses, and the values of its test."""
    wanted = BUDGET | KINDS[of][name]
    (experiment,) = combined(["sine"], ["mlp"], [wanted.pop("algorithm", "maml")], **wanted)
    (result,) = execution.finished(
        execution.side_by_side([experiment], [config_of(experiment)], [None], workers=workers)
    )
    at = result.checkpoint
    return {
        "theta": trees.ravel(trees.stop_gradient(at.meta)),
        "state": [value for slots in at.training.optimizer for own in slots.values() for value in own.values()],
        "diverged": torch.tensor(sorted(at.training.diverged.items())),
        "losses": [torch.from_numpy(record.losses) for record in at.history],
        "validation": [torch.from_numpy(record.values) for record in at.validation],
        "values": {name: torch.from_numpy(values) for name, values in result.evaluation.values.items()},
    }


def main(folder, wanted, rank):
    with group(f"file://{folder}/store", 2, rank) as workers:
        found = {
            f"{of} {name}": made(of, name, workers) for of, names in KINDS.items() for name in names if wanted in name
        }
    torch.save(found, folder / f"found-{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
