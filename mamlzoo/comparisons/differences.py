"""Paired differences: results beside each other on the same test tasks, seed by seed and task by task.

Some test tasks are hard for every algorithm, and some seeds lucky for every algorithm. In the difference of two results
on the same task and seed that cancels, and what is left is what the two differ by. `statistics.Crossed` derives the
interval of its mean over seeds and tasks.

A verdict is a claim about other seeds and other test tasks, so it needs several of both: from one seed, or from fewer
than `result.FEW_TASKS` test tasks, there is none, however narrow the interval over the rest.

Without a baseline every two results are paired, with one each is paired with it. That makes m pairs, and the more they
are, the likelier it is that two equals seem to differ. So each interval is made at 1 − 0.05/m: all m together hold the
true differences 95 times in 100 at least, since the chance that any fails is at most the sum of the chances
(Bonferroni). A verdict is whether an interval leaves out 0, so between equals there is a false one among all m in 5 of
100 comparisons at most. The best of several is named by the same data, which costs nothing more: its pairs are among
the m.

Where two cannot be told apart, `Crossed.seeds_needed` says how many seeds would do, were the difference and its spread
what they seem.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from mamlzoo.comparisons import verdicts
from mamlzoo.comparisons.labels import Config, baselines
from mamlzoo.comparisons.test_sets import test_set, tested_apart, tested_on
from mamlzoo.comparisons.verdicts import Difference, bracketed
from mamlzoo.errors import UsageError
from mamlzoo.experiments.result import Result
from mamlzoo.statistics import Crossed, Interval
from mamlzoo.tables import NOT_APART, Table, count, grouped, listed, number

NO_INTERVAL = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True, repr=False)
class Differences:
    """The paired differences of a comparison after one number of adaptation steps.

    Attributes:
        rows: every two results in the order of their ranking, the better mean first; with a baseline each of the others
            beside it.
        step: after how many adaptation steps.
        baseline: the name that was asked for.
        remarks: which results could not be paired.
    """

    rows: Sequence[Difference]
    step: int
    baseline: str | None
    remarks: Sequence[str]

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def table(self) -> Table:
        """One row a pair; below, the verdicts in words and what they rest on."""
        metrics = {row.metric for row in self.rows}
        metric = metrics.pop() if len(metrics) == 1 else "metric"
        rows = [
            [
                row.label,
                row.other,
                number(row.interval.mean, 3),
                "–" if math.isnan(row.interval.low) else bracketed(row.interval.low, row.interval.high),
                f"{len(row.seeds)} of {len(row.seeds) + len(row.diverged)}" if row.diverged else f"{len(row.seeds)}",
                row.verdict,
            ]
            for row in self.rows
        ]
        title = f"paired differences in test {metric} after {count(self.step, 'adaptation step')}, first − second"
        columns = ["first", "second", "difference", "95% interval", "seeds", "verdict"]
        return Table(title, columns, rows, self.notes(), left=(0, 1, 5))

    def notes(self) -> list[str]:
        """Who is better than whom, what cannot be told, on what it rests, and what could not be paired."""
        notes = [self.rows[0].sentence()] if len(self.rows) == 1 else _in_words(self.rows)
        with_interval = [row for row in self.rows if row.over]
        bases = grouped((row.basis(), verdicts.pair(row)) for row in with_interval)
        notes += list(bases) if len(bases) == 1 else [f"{', '.join(pairs)}: {basis}" for basis, pairs in bases.items()]
        if len(self.rows) > 1 and with_interval:
            notes.append(f"so all {len(self.rows)} intervals hold together at 95%")
        return notes + list(self.remarks)

    def document(self) -> dict[str, Any]:
        """As JSON holds it; what is not finite is null."""
        return {
            "step": self.step,
            "baseline": self.baseline,
            "rows": [row.document() for row in self.rows],
            "notes": self.notes(),
        }


def differences(
    results: Sequence[Result], labels: Sequence[str], baseline: str | None = None, step: int | None = None
) -> Differences:
    """Pair results that were tested on the same tasks: every two of them, or each with its baseline.

    Args:
        labels: what the results are called.
        baseline: a label, or the name of an algorithm or model (see `labels.baselines`); None: every two.
        step: after how many adaptation steps; None: the last that all have.

    Raises:
        UsageError: there is no such baseline or step.
    """
    configs = [result.config for result in results]
    step = _step(configs, step)
    test_sets = list(map(tested_on, results))
    remarks = []
    if baseline is not None:
        chosen = baselines(configs, test_sets, baseline)
        pairs = [(at, other) for at, other in enumerate(chosen) if other is not None]
        without = [label for at, label in enumerate(labels) if at not in {index for pair in pairs for index in pair}]
        if without:
            remarks.append(f"no baseline for {', '.join(without)}: no '{baseline}' was tested on the same tasks")
    else:
        ranking = sorted(range(len(results)), key=lambda at: (test_sets.index(test_sets[at]), _rank(results[at], step)))
        pairs = [(one, two) for one, two in combinations(ranking, 2) if test_sets[one] == test_sets[two]]
    if differing := tested_apart(results):
        groups = [
            [label for label, same in zip(labels, test_sets, strict=True) if same == one]
            for at, one in enumerate(test_sets)
            if one not in test_sets[:at]
        ]
        sets = "; ".join(map(", ".join, groups))
        remarks.append(f"paired only within a test set, and these differ in {listed(differing)}: {sets}")
    confidence = 1 - 0.05 / max(1, len(pairs))
    rows = [difference((labels[a], results[a]), (labels[b], results[b]), step, confidence) for a, b in pairs]
    return Differences(rows, step, baseline, remarks)


def check_request(configs: Sequence[Config], baseline: str | None, step: int | None) -> None:
    """Refuse, before anything is trained, a question that `differences` could not answer.

    Raises:
        UsageError: there is no such baseline or step.
    """
    _step(configs, step)
    if baseline is not None:
        baselines(configs, list(map(test_set, configs)), baseline)


def _step(configs: Sequence[Config], step: int | None) -> int:
    last: int = min((config["settings"]["test_steps"] for config in configs), default=0)
    if step is not None and not 0 <= step <= last:
        raise UsageError(f"no difference after {step} adaptation steps: all results have 0 to {last}")
    return last if step is None else step


def _rank(result: Result, step: int) -> tuple[bool, float]:
    """The best mean first, one that is not finite last."""
    mean = float(result.evaluation.mean[step])
    return (not math.isfinite(mean), 0 if math.isnan(mean) else result.evaluation.badness(mean))


def difference(
    first: tuple[str, Result], second: tuple[str, Result], step: int, confidence: float = 0.95
) -> Difference:
    """Pair two results, each with what it is called, that were tested on the same tasks.

    Raises:
        UsageError: they were not.
    """
    (label, one), (other, two) = first, second
    if differing := tested_apart([one, two]):
        raise UsageError(f"{label} and {other} cannot be paired: their test sets differ in {listed(differing)}")
    diverged = {
        seed: [name for name, result in (first, second) if seed in result.diverged]
        for seed in sorted({*one.diverged, *two.diverged})
    }
    seeds = [seed for seed in one.seeds if seed in two.seeds and seed not in diverged]
    ours, theirs = (
        result.evaluation.main[[result.seeds.index(seed) for seed in seeds], :, step].astype(np.float64)
        for result in (one, two)
    )
    with np.errstate(invalid="ignore"):  # infinities are data here
        paired = ours - theirs
    infinite = int((~np.isfinite(paired)).any(0).sum())
    alike = len(seeds) > 1 and bool((paired == paired[:1]).all())
    found = Crossed.of(paired[:1] if alike else paired) if seeds and not infinite else None
    return Difference(
        label=label,
        other=other,
        metric=one.evaluation.metric,
        higher_is_better=one.evaluation.higher_is_better,
        interval=found.interval(confidence) if found else NO_INTERVAL,
        confidence=confidence,
        seeds=seeds,
        unshared=sorted({*one.seeds} ^ {*two.seeds}),
        diverged=diverged,
        alike=alike,
        test_tasks=paired.shape[1],
        infinite=infinite,
        seeds_needed=found.seeds_needed(confidence) if found else None,
    )


def _in_words(rows: Sequence[Difference]) -> list[str]:
    """Who is better than whom, what cannot be told, and where that rests on fewer seeds than there are."""
    better = grouped((row.winner, row.other if row.winner == row.label else row.label) for row in rows if row.winner)
    notes = [f"{winner} is better than {listed(losers)}" for winner, losers in better.items()]
    undecided = [row for row in rows if not verdicts.hindrance(row) and not row.winner]
    notes += [f"{verdicts.pair(row)} found the very same numbers" for row in undecided if verdicts.is_zero(row)]
    apart = [row for row in undecided if not verdicts.is_zero(row)]
    for little in dict.fromkeys(map(verdicts.evidence, apart)):
        remedies = grouped(
            (verdicts.remedy(row), verdicts.pair(row)) for row in apart if verdicts.evidence(row) == little
        )
        told = "; ".join(f"{', '.join(pairs)} ({what})" for what, pairs in remedies.items())
        notes.append(f"with {little} these {NOT_APART}: {told}")
    for why, pairs in grouped(
        (verdicts.hindrance(row), verdicts.pair(row)) for row in rows if verdicts.hindrance(row)
    ).items():
        of = "any two" if len(pairs) == len(rows) else ", ".join(pairs)
        notes.append(f"no verdict on {of}: {why}")
    rests = grouped((verdicts.left(row), verdicts.pair(row)) for row in rows if verdicts.left(row) and row.seeds)
    return notes + [f"{', '.join(pairs)}: this rests on {seeds}" for seeds, pairs in rests.items()]
