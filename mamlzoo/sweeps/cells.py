"""One cell of a sweep, and its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamlzoo import statistics
from mamlzoo.experiments.result import Result
from mamlzoo.tables import number


class Estimate(NamedTuple):
    """A metric after the last adaptation step.

    Attributes:
        mean: over episodes, and over the seeds that did not diverge; NaN if all did.
        ci95: half-width of the mean's 95% interval; NaN where there is none.
        per_seed: of every seed, mean over episodes.
    """

    mean: float
    ci95: float
    per_seed: tuple[float, ...]

    def __str__(self) -> str:
        if not math.isfinite(self.mean):
            return "diverged"
        return number(self.mean) if math.isnan(self.ci95) else f"{number(self.mean)} ± {number(self.ci95, 3)}"

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"mean": self.mean, "ci95": self.ci95, "per_seed": list(self.per_seed)}


@dataclass(frozen=True)
class Scores:
    """The numbers of a finished cell.

    Attributes:
        metric: the task's first.
        higher_is_better: whether it grows as learning succeeds; if not, it is an error.
        valid: on the validation episodes; its interval is over seeds, or there is none.
        test: on the test episodes; over what its interval is taken, `basis` says.
        over: the same in short: seeds, or test tasks.
        seeds: how many.
        diverged: seed -> the meta-step at which it diverged.
        seconds: preparing, training, validating and testing; wall clock.
        is_transductive: whether predictions on a query set depend on each other.
    """

    metric: str
    higher_is_better: bool
    valid: Estimate
    test: Estimate
    basis: str
    over: Literal["seeds", "test tasks"]
    seeds: int
    diverged: Mapping[int, int]
    seconds: float
    is_transductive: bool = False

    @classmethod
    def of(cls, result: Result) -> Scores:
        """The numbers of a result that was validated."""
        evaluation, timing, best = result.evaluation, result.timing, result.checkpoint.best
        valid = result.validation[-1].values if best is None else best.values
        return cls(
            metric=evaluation.metric,
            higher_is_better=evaluation.higher_is_better,
            valid=_over_seeds(valid, evaluation.rows, interval=evaluation.over == "seeds"),
            test=Estimate(
                float(evaluation.mean[-1]), float(evaluation.ci95[-1]), tuple(evaluation.per_seed[:, -1].tolist())
            ),
            basis=result.basis(),
            over=evaluation.over,
            seeds=len(result.seeds),
            diverged=result.diverged,
            seconds=timing.prepare_seconds + timing.train_seconds + timing.evaluate_seconds,
            is_transductive=result.is_transductive,
        )


@dataclass(frozen=True)
class Cell:
    """One combination of values.

    Attributes:
        values: by axis; without those that the cell's plugins do not have.
        config: names, options and settings; None if there is no such experiment.
        scores: what it found, if it is finished.
        error: why it failed, one line, if it did.
        run_dir: where it is recorded.
    """

    values: Mapping[str, Any]
    config: Mapping[str, Any] | None
    scores: Scores | None = None
    error: str | None = None
    run_dir: Path | None = None

    @property
    def state(self) -> Literal["waiting", "finished", "failed"]:
        """Whether it is still to be run, and how it ended."""
        if self.error is not None:
            return "failed"
        return "waiting" if self.scores is None else "finished"


def _over_seeds(values: NDArray[np.float64], rows: Sequence[int], *, interval: bool) -> Estimate:
    counted = values[list(rows)]
    mean, half = statistics.mean_and_ci95(counted) if len(counted) else (math.nan, math.nan)
    return Estimate(float(mean), float(half) if interval else math.nan, tuple(values.tolist()))
