"""What a result trained, made ready to adapt: its experiment, and θ of one of its seeds."""

from __future__ import annotations

from dataclasses import replace

import torch

from mamlzoo import trees
from mamlzoo.contracts.plugins import Task
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.placement import device_of
from mamlzoo.errors import UsageError
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import Result
from mamlzoo.runs.config import experiment_from
from mamlzoo.runs.setup import bind


def experiment_of(result: Result) -> Experiment:
    """What was run: at hand where this process ran it, else made again from its config.

    Raises:
        UsageError: a part of it came from Python, so that its config does not lead back to it.
    """
    return result.experiment or experiment_from(result.config)


def of_seed(result: Result, seed: int | None = None, task: Task | None = None) -> tuple[Experiment, Bound]:
    """The experiment for one seed, and its networks bound to the θ that was trained, on the CPU.

    Args:
        seed: whose θ; None: the first seed's that did not diverge.
        task: instead of the run's own.

    Raises:
        UsageError: the seed was not trained, a part of the experiment came from Python, or θ is not its model's.
    """
    experiment = experiment_of(result)
    seeds = result.seeds
    chosen = next((s for s in seeds if s not in result.diverged), seeds[0]) if seed is None else seed
    if chosen not in seeds:
        raise UsageError(f"seed {chosen} was not trained; there are: {', '.join(map(str, seeds))}")
    # A few episodes: the CPU will do, also for a run that was made elsewhere; it has no TF32.
    budget = experiment.settings
    precision = "float32" if budget.precision == "tf32" else budget.precision
    settings = replace(budget, seeds=(chosen,), device="cpu", precision=precision)
    experiment = replace(experiment, task=task or experiment.task, settings=settings)
    row = seeds.index(chosen)
    meta = trees.cast(trees.index(result.meta, slice(row, row + 1)), torch.float32, device_of(settings.device))
    bound = bind(experiment)
    other = trees.difference(meta, bound.meta)
    if other:
        raise UsageError(f"{result.run_dir or result.name} has another θ than its model: {other}")
    return experiment, replace(bound, meta=meta)
