"""What a page of a task from one number to one number holds: episodes to begin from, and learners that adapt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo.contracts.data import Batch
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.points import Points
from mamlzoo.contracts.reading import reading
from mamlzoo.engine.compilation.program_cache import CannotCompileError
from mamlzoo.errors import UsageError
from mamlzoo.experiments.result import Result
from mamlzoo.explorer.learner_programs import Carried
from mamlzoo.explorer.lowering import UncoveredError
from mamlzoo.explorer.numbers import Pool
from mamlzoo.inference import fits, meta_parameters
from mamlzoo.inference.fits import GRID, Fit

EPISODES = 6
"""Test episodes that a person may begin from."""
FEWEST = 10
"""Support sets of every size up to this can be made on the page; of larger ones, those of the episodes' sizes."""
DIGITS = 8
"""Significant ones of points and of true curves, as they are written: what float32 has."""


@dataclass(frozen=True)
class Shown:
    """A result on a page.

    Attributes:
        label: what it is called there.
        seed: whose θ; None: the first seed's that did not diverge.
    """

    label: str
    result: Result
    seed: int | None = None


def curves(shown: Sequence[Shown], episode: int, steps: int) -> dict[str, Any]:
    """The document.

    Args:
        episode: the test episode to begin with; some after it go along.
        steps: at most so many adaptation steps can be chosen.

    Raises:
        UsageError: a seed was not trained, there is no such episode, or an algorithm does what no page can.
    """
    first, *_ = shown
    drawn = _episodes(first, episode)
    x = _grid(drawn)
    pool = Pool()
    counts = [len(fit.support) for fit in drawn]
    learners = [_learner(one, pool, x, counts, steps) for one in shown]
    return {
        "kind": "curves",
        "task": first.result.config["task"]["name"],
        "steps": steps,
        "axes": _axes(meta_parameters.experiment_of(first.result).task, x),
        "x": _written(x[:, 0].numpy()),
        "episodes": [
            {
                "support": _pairs(fit.support),
                "truth": None if fit.truth is None else _pairs(fit.truth),
                "number": episode + at,
            }
            for at, fit in enumerate(drawn)
        ],
        "learners": learners,
        "arrays": pool.arrays,
        "programs": pool.programs,
    }


def _episodes(shown: Shown, first: int) -> list[Fit]:
    """Test episodes from the first on, as many as there are."""
    available = meta_parameters.experiment_of(shown.result).task.spec.test_episodes
    last = first + EPISODES if available is None else max(first + 1, min(first + EPISODES, available))
    return [
        fits.fit(shown.result, steps=(0,), episode=at, seed=shown.seed)
        for at in reading(range(first, last), "draw episodes")
    ]


def _grid(drawn: Sequence[Fit]) -> Tensor:
    low, high = min(float(fit.x[0]) for fit in drawn), max(float(fit.x[-1]) for fit in drawn)
    return torch.linspace(low, high, GRID)[:, None]


def _axes(task: Task, x: Tensor) -> dict[str, Any]:
    """What a person calls the axes, and their own data's units: at the page's x, and where the network's y is 0, 1.

    x's are None where they are the page's own.
    """
    y = np.zeros((len(x), 1), np.float32)
    y[1] = 1.0
    own = task.in_units(Points(x.numpy(), y))
    assert own.y is not None
    low, high = own.y[:2, 0].astype(float)
    (name,) = own.columns or ["x"]
    (target,) = own.targets or ["y"]
    same = np.array_equal(own.x, x.numpy())
    return {
        "x": {"name": name, "own": None if same else _written(own.x[:, 0])},
        "y": {"name": target, "zero": low, "one": high},
    }


def _learner(shown: Shown, pool: Pool, x: Tensor, counts: Sequence[int], steps: int) -> dict[str, Any]:
    """Its programs for support sets of these sizes, and for as many smaller ones as it takes."""
    experiment, bound = meta_parameters.of_seed(shown.result, shown.seed)
    carried = Carried(experiment.task, bound, x, pool)
    needed = sorted(set(counts))
    smaller = [size for size in range(1, min(FEWEST, max(counts)) + 1) if size not in needed]
    programs = {}
    for size in reading([*needed, *smaller], f"carry {shown.label} into the page"):
        support = Batch(torch.linspace(float(x[0]), float(x[-1]), size)[:, None], torch.zeros(size, 1))
        try:
            programs[size] = carried.programs(support, steps)
        except (CannotCompileError, UncoveredError) as error:
            if size in needed:  # others may be too few, as a single example is for a batch norm
                instead = "`mamlzoo plot adaptation` draws what it does"
                raise UsageError(f"{shown.label} cannot be carried into a page: {error}; {instead}") from error
    return {
        "name": shown.label,
        "rate": carried.rate,
        "atOnce": "complete-at-once" in bound.algorithm.claims,
        "theta": carried.theta(),
        "at": pool.array(x),
        "sizes": programs,
    }


def _pairs(points: NDArray[np.float32]) -> list[list[float]]:
    return [_written(pair) for pair in points]


def _written(values: NDArray[np.float32]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
