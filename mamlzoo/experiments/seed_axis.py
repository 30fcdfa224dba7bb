"""Where a run stands, taken apart among workers that have seeds of their own, and joined again."""

from __future__ import annotations

from dataclasses import replace

from mamlzoo import trees
from mamlzoo.engine.division import Division
from mamlzoo.engine.outer_optimizer import ELEMENTWISE
from mamlzoo.engine.workers import Workers
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.experiments.experiment import Experiment


def division_of(experiment: Experiment, workers: Workers, count: int = 1) -> Division:
    """How workers make an experiment together, or a single one makes `count` that stand side by side.

    Raises:
        UsageError: there is too little to do for so many.
    """
    settings = experiment.settings
    return Division.among(
        workers,
        count * len(settings.seeds),
        settings.meta_batch,
        elementwise=settings.optimizer.lower() in ELEMENTWISE,
    )


def own(at: Checkpoint, division: Division) -> Checkpoint:
    """A worker's own seeds of a whole checkpoint: their θ, the rest as it is."""
    best = at.best
    if best is not None and division.of == "seeds":
        best = replace(best, meta=trees.index(best.meta, division.own_seeds))
    return replace(at, training=division.own(at.training), best=best)


def whole(at: Checkpoint, division: Division) -> Checkpoint:
    """A checkpoint of all seeds, of each worker's own; all must ask at once."""
    best = at.best
    if best is not None:
        best = replace(best, meta=division.all_seeds(best.meta))
    return replace(at, training=division.whole(at.training), best=best)
