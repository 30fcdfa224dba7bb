"""The θ that validation chooses, seed by seed."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mamlzoo import trees
from mamlzoo.experiments.checkpoint import Best, Checkpoint, ValidationRecord


def better(at: Checkpoint, record: ValidationRecord, sign: float, settled: NDArray[np.bool_], own: slice) -> Best:
    """For each seed the best θ so far; the earlier one of two that are equally good.

    Args:
        settled: seeds whose best stays what it is.
        own: the seeds whose θ is here.
    """
    meta, seeds = at.training.judged, len(record.values)
    if at.best is None:
        steps = np.full(seeds, record.step)
        return Best(trees.tree_map(torch.clone, meta), record.values, steps)
    old = at.best
    with np.errstate(invalid="ignore"):
        improved: NDArray[np.bool_] = (sign * record.values > sign * old.values) | np.isnan(old.values)
    improved &= ~settled
    chosen = torch.from_numpy(improved[own])

    def choose(new: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        return torch.where(chosen.to(new.device).reshape(-1, *[1] * (new.ndim - 1)), new, kept.to(new.device))

    return Best(
        trees.tree_map(choose, meta, old.meta),
        np.where(improved, record.values, old.values),
        np.where(improved, record.step, old.steps),
    )
