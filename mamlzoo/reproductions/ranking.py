"""Which run is best, by how much, and what each costs: to train, to keep, and to adapt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mamlzoo import trees
from mamlzoo.comparisons import differences
from mamlzoo.comparisons.verdicts import Difference, bracketed
from mamlzoo.contracts.recipes import Ranking
from mamlzoo.engine.adaptation_cost import adaptation_flops
from mamlzoo.engine.episodes import TestSet
from mamlzoo.engine.placement import device_of
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import Result
from mamlzoo.experiments.transduction import transductive_notes
from mamlzoo.files import json_document
from mamlzoo.runs.setup import bind
from mamlzoo.tables import Table, count, number


@dataclass(frozen=True)
class Ranked:
    """A run of a ranking.

    Attributes:
        label: of the run.
        mean, half: its test metric after each number of adaptation steps, and the half-widths of its 95% intervals.
        behind: the paired difference to the best run; None of the best itself.
        seconds: that training all seeds took, with what is chosen and compiled before it.
        parameters: how many numbers of θ a seed has.
        flops: what adapting to one test episode and predicting its query set costs, after each number of steps.
        is_transductive: whether predictions on a query set depend on each other.
    """

    label: str
    mean: Sequence[float]
    half: Sequence[float]
    behind: Difference | None
    seconds: float
    parameters: int
    flops: Sequence[int]
    is_transductive: bool


@dataclass(frozen=True)
class RankedRuns:
    """Runs on the same test tasks, the best first.

    Attributes:
        title: what it answers.
        metric: by which.
        step: after how many adaptation steps.
    """

    title: str
    metric: str
    step: int
    rows: Sequence[Ranked]

    def table(self) -> Table:
        """One row a run."""
        columns = ["run", self.metric, "behind the best by", "95% interval", "train s", "parameters", "MFLOP to adapt"]
        rows = [
            [
                row.label,
                f"{number(row.mean[self.step])} ± {number(row.half[self.step], 2)}",
                *_behind(row.behind),
                number(row.seconds, 3),
                f"{row.parameters:,}",
                number(row.flops[self.step] / 1e6, 3),
            ]
            for row in self.rows
        ]
        return Table(self.title, columns, rows, self._notes())

    def _notes(self) -> list[str]:
        pairs = [row.behind for row in self.rows if row.behind is not None]
        best = self.rows[0].label
        level = [pair.label for pair in pairs if pair.over and pair.winner is None]
        notes = [f"after {count(self.step, 'adaptation step')}; intervals of the differences hold together at 95%"]
        if level:
            notes.append(f"not told apart from {best}: {', '.join(level)}")
        notes.append(
            "MFLOP to adapt: products of matrices, convolutions, factorisations and solutions, of one test episode "
            "and the predictions on its query set"
        )
        return notes + transductive_notes({row.label: row.is_transductive for row in self.rows})

    def document(self) -> dict[str, Any]:
        """As JSON holds it; what is not finite is null."""
        rows = [
            {
                "run": row.label,
                "mean": list(row.mean),
                "half": list(row.half),
                "behind": None if row.behind is None else row.behind.document(),
                "train_seconds": row.seconds,
                "parameters": row.parameters,
                "flops": list(row.flops),
            }
            for row in self.rows
        ]
        return json_document({"title": self.title, "metric": self.metric, "step": self.step, "rows": rows})


def ranked(ranking: Ranking, results: Mapping[str, Result], experiments: Mapping[str, Experiment]) -> RankedRuns:
    """Rank runs by their mean after the last adaptation step that all have; one that is not finite comes last.

    Raises:
        UsageError: a run has not the metric.
    """
    found = {label: shown_by(results[label], experiments[label], ranking.metric) for label in ranking.runs}
    step = min(len(result.evaluation.steps) for result in found.values()) - 1

    def worse(label: str) -> tuple[bool, float]:
        mean = float(found[label].evaluation.mean[step])
        return (not math.isfinite(mean), found[label].evaluation.badness(mean) if math.isfinite(mean) else 0)

    best, *others = sorted(found, key=worse)
    confidence = 1 - 0.05 / len(others)
    behind: dict[str, Difference | None] = {best: None}
    for label in others:
        behind[label] = differences.difference((label, found[label]), (best, found[best]), step, confidence)
    rows = [_row(label, found[label], experiments[label], pair) for label, pair in behind.items()]
    return RankedRuns(ranking.title, found[best].evaluation.metric, step, rows)


def shown_by(result: Result, experiment: Experiment, metric: str | None) -> Result:
    """The result with another metric as the one that is shown; None: its own.

    Raises:
        UsageError: it was not measured.
    """
    if metric is None:
        return result
    higher = metric in experiment.task.higher_is_better
    return replace(result, evaluation=result.evaluation.by(metric, higher_is_better=higher))


def _row(label: str, result: Result, experiment: Experiment, behind: Difference | None) -> Ranked:
    evaluation, timing = result.evaluation, result.timing
    return Ranked(
        label,
        evaluation.mean.tolist(),
        evaluation.ci95.tolist(),
        behind,
        timing.prepare_seconds + timing.train_seconds,
        sum(leaf[0].numel() for leaf in trees.leaves(result.meta)),
        _flops(experiment),
        result.is_transductive,
    )


def _flops(experiment: Experiment) -> list[int]:
    settings = experiment.settings
    own = replace(experiment, settings=replace(settings, seeds=settings.seeds[:1], init_from=None))
    episode = trees.index(TestSet(own.task, 1, settings.test_seed, device_of(settings.device)).episode(0), 0)
    return adaptation_flops(bind(own), episode, settings.test_steps)


def _behind(pair: Difference | None) -> tuple[str, str]:
    if pair is None:
        return "the best", ""
    mean, low, high = pair.interval
    if pair.higher_is_better:
        mean, low, high = -mean, -high, -low
    return number(mean, 3), "–" if math.isnan(low) else bracketed(low, high)
