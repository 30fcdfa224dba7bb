"""Which cell of a sweep is best by validation, and which may be as good."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mamlzoo import statistics
from mamlzoo.sweeps.cells import Cell, Scores
from mamlzoo.tables import NOT_APART, some

NAMED = 3
"""So many cells that may be as good as the best are named."""


def best_of(cells: Sequence[tuple[Cell, Scores]]) -> Cell | None:
    """The best by validation, one with a diverged seed only if every cell has one; None: none is finite."""
    finite = [(cell, scores) for cell, scores in cells if math.isfinite(scores.valid.mean)]
    sound = [(cell, scores) for cell, scores in finite if not scores.diverged] or finite
    if not sound:
        return None
    return min(sound, key=lambda one: -one[1].valid.mean if one[1].higher_is_better else one[1].valid.mean)[0]


def by_seed(cell: Cell) -> dict[int, float]:
    """By seed, what those that did not diverge found on the validation tasks; empty if its mean is infinite."""
    assert cell.config is not None
    assert cell.scores is not None
    if not math.isfinite(cell.scores.valid.mean):
        return {}
    values = zip(cell.config["settings"]["seeds"], cell.scores.valid.per_seed, strict=True)
    return {seed: value for seed, value in values if seed not in cell.scores.diverged}


def rivals(
    label: str, best: Mapping[int, float], others: Mapping[str, Mapping[int, float]], *, higher: bool
) -> list[str]:
    """Which of the others may be as good as the best: more seeds might choose one of them.

    As in `comparisons.differences`: seed by seed, at 1 − 0.05/m for the m pairs among all cells, since the best is
    chosen by the same numbers; and one seed says nothing, so of a cell that has no two in common with the best nothing
    is said.
    """
    if not others:
        return []
    if len(best) < 2:
        return [f"one seed says nothing of another training run, for which another than {label} may be best"]
    cells = len(others) + 1
    confidence = 1 - 0.05 / (cells * (cells - 1) / 2)
    paired = {
        other: np.array([best[seed] - values[seed] for seed in best if seed in values])
        for other, values in others.items()
        if len({*best} & {*values}) > 1
    }
    near = [other for other, difference in paired.items() if not _is_better(difference, confidence, higher=higher)]
    if not near:
        which = "" if len(paired) == len(others) else " that has two seeds to compare"
        return [f"on the validation tasks {label} is better than every other{which}"] if paired else []
    # Labels hold commas where an option is a list.
    return [f"with {len(best)} seeds these {NOT_APART} from {label}: {some(near, NAMED, '; ')}"]


def _is_better(difference: NDArray[np.float64], confidence: float, *, higher: bool) -> bool:
    """Whether ours less theirs, seed by seed, shows it."""
    _, low, high = statistics.Crossed.of(difference[:, None]).interval(confidence)
    return bool(low > 0 if higher else high < 0)
