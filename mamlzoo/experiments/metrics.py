"""Test metrics of all seeds: means, intervals, a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mamlzoo import statistics
from mamlzoo.engine.judgement import CALIBRATION, COVERED, SCORES, coverage
from mamlzoo.errors import UsageError
from mamlzoo.tables import Table, count, number

FEW_TASKS = 5
"""Fewer test tasks say little of others: their interval leans on a normal distribution, which so few cannot show."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Metrics on the frozen test episodes.

    Attributes:
        values: by metric, [seeds, test episodes, steps + 1]; [seeds, 1, steps + 1] of one that is pooled over episodes,
            as coverage.
        rows: the rows of seeds that count: those that did not diverge in training.
        higher_is_better: whether the first metric grows as learning succeeds; if not, it is an error.
    """

    values: Mapping[str, NDArray[np.float32]]
    rows: Sequence[int]
    higher_is_better: bool = False

    @property
    def metric(self) -> str:
        """The metric that tables and figures show."""
        return next(iter(self.values))

    @property
    def main(self) -> NDArray[np.float32]:
        """Its values, [seeds, test episodes, steps + 1]."""
        return self.values[self.metric]

    def by(self, metric: str, *, higher_is_better: bool) -> Evaluation:
        """The same test, with another of its metrics as the one that is shown.

        Raises:
            UsageError: it was not measured, or only pooled over all test episodes.
        """
        tests = self.main.shape[1]
        measured = [name for name, values in self.values.items() if values.shape[1] == tests]
        if metric not in measured:
            raise UsageError(f"there is no metric '{metric}' of each test task; there are: {', '.join(measured)}")
        values = {metric: self.values[metric], **{name: v for name, v in self.values.items() if name != metric}}
        return replace(self, values=values, higher_is_better=higher_is_better)

    def badness(self, value: float) -> float:
        """The number that is lower for a better value of the metric."""
        return -value if self.higher_is_better else value

    @property
    def steps(self) -> NDArray[np.int64]:
        """Numbers of adaptation steps: 0, 1, …"""
        return np.arange(self.main.shape[-1])

    @cached_property
    def per_seed(self) -> NDArray[np.float64]:
        """Mean over test episodes, [seeds, steps + 1]."""
        with np.errstate(invalid="ignore", over="ignore"):  # infinities are data here
            mean: NDArray[np.float64] = self.main.astype(np.float64).mean(1)
        return mean

    @property
    def seeds_alike(self) -> bool:
        """Whether several seeds found the very same numbers, so that they say nothing about each other."""
        counted = self.main[list(self.rows)]
        return len(self.rows) > 1 and bool(np.array_equal(counted, np.broadcast_to(counted[:1], counted.shape)))

    @property
    def over(self) -> Literal["seeds", "test tasks"]:
        """What the intervals are taken over: seeds, or test tasks where a single seed is left or all are alike."""
        return "seeds" if len(self.rows) > 1 and not self.seeds_alike else "test tasks"

    @cached_property
    def _summary(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if not self.rows:
            empty = np.full(len(self.steps), np.nan)
            return empty, empty
        if self.over == "seeds":
            return statistics.mean_and_ci95(self.per_seed[list(self.rows)])
        return statistics.mean_and_ci95(self.main[self.rows[0]])

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over test episodes and seeds, [steps + 1]."""
        return self._summary[0]

    @property
    def ci95(self) -> NDArray[np.float64]:
        """Half-width of the mean's 95% interval, [steps + 1]."""
        return self._summary[1]

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def table(self, of: str = "", caveats: Sequence[str] | None = None) -> Table:
        """The metric after each number of adaptation steps.

        Args:
            of: what was tested, for the title.
            caveats: what else a reader must know; None: what the numbers alone can say.
        """
        columns = ["steps", self.metric, "± 95%"]
        rows = [
            [str(step), number(mean), number(half)]
            for step, mean, half in zip(self.steps, self.mean, self.ci95, strict=True)
        ]
        if len(self.rows) > 1:
            columns += ["lowest seed", "highest seed"]
            per_seed = self.per_seed[list(self.rows)]
            for row, low, high in zip(rows, per_seed.min(0), per_seed.max(0), strict=True):
                row += [number(low), number(high)]
        if unmoved(self):
            rows = [[f"{rows[0][0]} to {rows[-1][0]}", *rows[0][1:]]]
        title = f"test {self.metric} after adaptation"
        if caveats is None:
            caveats = [*alike(self), *self._left_out(), *effects(self)]
        return Table(f"{of}: {title}" if of else title, columns, rows, [self.basis(), *self._uncertainty(), *caveats])

    def basis(self) -> str:
        """Over what the means and intervals are taken."""
        tests = self.main.shape[1]
        few = f"; fewer than {FEW_TASKS} test tasks say little of others" if tests < FEW_TASKS else ""
        over = f"{count(tests, 'test task')} and {count(len(self.rows), 'seed')}"
        return f"mean over {over}; 95% t interval over {self.over}{few}"

    def _uncertainty(self) -> list[str]:
        """A line of what distributions are judged by, where any are predicted; ± 95% over seeds."""
        if CALIBRATION not in self.values or not self.rows:
            return []
        parts = []
        for name in (*SCORES, *map(coverage, COVERED), CALIBRATION):
            if name in self.values and name != self.metric:
                with np.errstate(invalid="ignore", over="ignore"):
                    by_seed = self.values[name][list(self.rows), :, -1].astype(np.float64).mean(1)
                mean, half = map(float, statistics.mean_and_ci95(by_seed))
                parts.append(f"{name} {number(mean, 3)}" + (f" ± {number(half, 2)}" if np.isfinite(half) else ""))
        return [f"with uncertainty, after {count(int(self.steps[-1]), 'step')}: {', '.join(parts)}"]

    def _left_out(self) -> list[str]:
        seeds = len(self.per_seed)
        out = seeds - len(self.rows)
        return [f"{out} of {count(seeds, 'seed')} left out of the mean: θ is not finite"] if out else []


def alike(evaluation: Evaluation) -> list[str]:
    """A line where several seeds found the very same numbers."""
    line = "all seeds found the very same numbers: nothing was random, so there is no interval over them"
    return [line] if evaluation.seeds_alike else []


def effects(evaluation: Evaluation) -> list[str]:
    """A line where adaptation ran away, where it changes nothing, and where it makes things worse."""
    return [*runaways(evaluation), *unmoved(evaluation), *worsening(evaluation)]


def runaways(evaluation: Evaluation) -> list[str]:
    """A line where some number is not finite though θ is."""
    line = "'diverged': adaptation ran to infinity on some test task; a smaller inner rate may help"
    return [] if np.isfinite(evaluation.per_seed[list(evaluation.rows)]).all() else [line]


def unmoved(evaluation: Evaluation) -> list[str]:
    """A line where all numbers of steps find the very same numbers, as where adaptation is one closed form."""
    counted = evaluation.main[list(evaluation.rows)]
    still = counted.size > 0 and counted.shape[-1] > 1 and bool((counted == counted[..., :1]).all())
    return ["adaptation steps change nothing"] if still else []


def worsening(evaluation: Evaluation) -> list[str]:
    """A line where the test metric is worse after all adaptation steps than after none, and chance is no reason."""
    if not evaluation.rows:
        return []
    seeds = evaluation.per_seed[list(evaluation.rows)]
    values = seeds if evaluation.over == "seeds" else evaluation.main[evaluation.rows[0]].astype(np.float64)
    with np.errstate(invalid="ignore"):  # what diverged is told elsewhere
        gain = values[:, -1] - values[:, 0]
    mean, half = statistics.mean_and_ci95(gain if evaluation.higher_is_better else -gain)
    if not mean < -half:
        return []
    before, after = (number(float(evaluation.mean[at])) for at in (0, -1))
    steps = count(int(evaluation.steps[-1]), "step")
    return [
        f"adaptation makes it worse: {evaluation.metric} {before} before, {after} after {steps}; fewer steps or a "
        "smaller inner rate may help"
    ]
