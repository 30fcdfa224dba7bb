"""Paired differences: results beside each other on the same test tasks, seed by seed and task by task.

Some test tasks are hard for every algorithm, and some seeds lucky for every algorithm. In the difference of two results
on the same task and seed that cancels, and what is left is what the two differ by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mamlzoo.errors import UsageError
from mamlzoo.labels import Config, baselines
from mamlzoo.result import FEW_TASKS, Result, finite_or_null
from mamlzoo.statistics import Interval, pigeonhole_ci95
from mamlzoo.tables import Table, number

NO_VERDICT = "no verdict"
NO_INTERVAL = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Difference:
    """By how much the metric of one result exceeds that of another.

    Attributes:
        label, other: the two results, as their comparison calls them.
        metric: of which this is the difference, label's minus other's.
        higher_is_better: whether the metric grows as learning succeeds.
        interval: the mean over test tasks and seeds and its 95% interval; NaN where there is none.
        seeds: those that count: both results have them, and they diverged in neither.
        unshared: seeds that only one of the two has.
        diverged: seed -> the results in which it diverged.
        alike: whether several seeds found the very same differences, so that they count as one.
        test_tasks: how many there are.
        infinite: on how many of them adaptation ran to infinity.
    """

    label: str
    other: str
    metric: str
    higher_is_better: bool
    interval: Interval
    seeds: Sequence[int]
    unshared: Sequence[int]
    diverged: Mapping[int, Sequence[str]]
    alike: bool
    test_tasks: int
    infinite: int

    @property
    def resampled(self) -> str:
        """What was resampled for the interval: whichever there are several of; empty if there is no interval."""
        if math.isnan(self.interval.low):
            return ""
        several = ["seeds"] * (len(self.seeds) > 1 and not self.alike) + ["test tasks"] * (self.test_tasks > 1)
        return " and ".join(several)

    @property
    def verdict(self) -> str:
        """In words: 'maml is better', 'transfer is worse', 'no real difference', 'no verdict'."""
        _, low, high = self.interval
        if math.isnan(low) or self._few_tasks:
            return NO_VERDICT
        if low <= 0 <= high:
            return "no real difference"
        return f"{self.label} is {'better' if (low > 0) == self.higher_is_better else 'worse'}"

    def sentence(self) -> str:
        """The verdict and what it rests on."""
        mean, low, high = self.interval
        if self.verdict == NO_VERDICT:
            return f"no verdict on {self.label} and {self.other}: {self._hindrance()}"
        if low == high == 0:
            said = f"{self.label} and {self.other} found the very same numbers"
        elif low <= 0 <= high:
            better = self._in_words("higher" if self.higher_is_better else "lower")
            names = (self.label, self.other) if (mean > 0) == self.higher_is_better else (self.other, self.label)
            said = f"{names[0]} is no better than {names[1]}: {better}, which may be 0"
        else:
            said = f"{self.verdict} than {self.other}: {self._in_words('higher' if low > 0 else 'lower')}"
        return f"{said}; this rests on {self._left()}" if self.diverged or self.unshared else said

    @property
    def _few_tasks(self) -> bool:
        """Whether there are too few for a claim about others; one alone makes none."""
        return 1 < self.test_tasks < FEW_TASKS

    def _in_words(self, way: str) -> str:
        mean, low, high = self.interval
        low, high = (low, high) if mean > 0 else (-high, -low)
        return f"its {self.metric} is {way} by {number(abs(mean), 3)} {_bracketed(low, high)}"

    def _hindrance(self) -> str:
        if not self.seeds:
            return f"there is {self._left()}"
        if self.infinite:
            return (
                f"adaptation ran to infinity on {self.infinite} of {_count(self.test_tasks, 'test task')}, so their "
                "difference is not finite; a smaller inner rate may help"
            )
        if self._few_tasks:
            return f"{self.test_tasks} test tasks say little of others; it takes {FEW_TASKS} at least"
        return "one seed on one test task has no interval"

    def _left(self) -> str:
        """Which seeds are left, and where the others are."""
        left = f"{_named(self.seeds)} alone" if self.seeds else "no seed left"
        places = dict.fromkeys(map(tuple, self.diverged.values()))
        reasons = [
            f"{_named([seed for seed in self.diverged if tuple(self.diverged[seed]) == where])} diverged in "
            + " and ".join(where)
            for where in places
        ]
        if self.unshared:
            reasons.append(f"only one of the two has {_named(self.unshared)}")
        return f"{left}, as {', '.join(reasons)}"

    def basis(self) -> str:
        """What an interval was taken over, and what it does not speak of."""
        tasks, seeds = _count(self.test_tasks, "test task"), _count(len(self.seeds), "seed")
        said = f"paired on the same {tasks} and {seeds}; 95% bootstrap interval over {self.resampled}"
        if "seeds" not in self.resampled:
            why = "the seeds found the very same differences" if self.alike else "there is one seed"
            return f"{said} only, as {why}: it says nothing of another training run"
        if "test tasks" not in self.resampled:
            return f"{said} only, as there is one test task: it says nothing of another task"
        return said

    def document(self) -> dict[str, Any]:
        """As JSON holds it; what is not finite is null."""
        document: dict[str, Any] = finite_or_null(
            {
                "label": self.label,
                "other": self.other,
                "metric": self.metric,
                "difference": self.interval.mean,
                "low": self.interval.low,
                "high": self.interval.high,
                "seeds": list(self.seeds),
                "diverged": {str(seed): list(where) for seed, where in self.diverged.items()},
                "resampled": self.resampled,
                "infinite_test_tasks": self.infinite,
                "verdict": self.verdict,
            }
        )
        return document


@dataclass(frozen=True, repr=False)
class Differences:
    """The paired differences of a comparison after one number of adaptation steps.

    Attributes:
        rows: each result against the baseline, then each against the next in the ranking.
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
        """One row a pair; below, the verdicts in whole sentences and what they rest on."""
        metrics = {row.metric for row in self.rows}
        metric = metrics.pop() if len(metrics) == 1 else "metric"
        rows = [
            [
                row.label,
                row.other,
                number(row.interval.mean, 3),
                "–" if math.isnan(row.interval.low) else _bracketed(row.interval.low, row.interval.high),
                f"{len(row.seeds)}" + f" of {len(row.seeds) + len(row.diverged)}" * bool(row.diverged),
                row.verdict,
            ]
            for row in self.rows
        ]
        title = f"paired differences in test {metric} after {_count(self.step, 'adaptation step')}, first − second"
        columns = ["first", "second", "difference", "95% interval", "seeds", "verdict"]
        return Table(title, columns, rows, self.notes(), left=(0, 1, 5))

    def notes(self) -> list[str]:
        """Which differences are real, what was resampled, and what could not be paired."""
        notes = [row.sentence() for row in self.rows]
        with_interval = [row for row in self.rows if row.resampled]
        bases = list(dict.fromkeys(row.basis() for row in with_interval))
        if len(bases) > 1:
            bases = [f"{row.label} and {row.other}: {row.basis()}" for row in with_interval]
        notes += bases
        if len(with_interval) > 1:
            notes.append("each interval is 95% on its own, not all of them together")
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
    """Pair results that were tested on the same tasks: each with its baseline, then each with the next in the ranking.

    Args:
        labels: what the results are called.
        baseline: a label, or the name of an algorithm or model (`mamlzoo.labels.baselines`); None: the ranking alone.
        step: after how many adaptation steps; None: the last that all have.

    Raises:
        UsageError: there is no such baseline or step.
    """
    configs = [result.config for result in results]
    step = _step(configs, step)
    test_sets = [
        test_set(result.config)
        | {"metric": result.evaluation.metric, "test tasks": _values(result).shape[1]}
        for result in results
    ]  # fmt: skip
    pairs: list[tuple[int, int]] = []
    without: list[str] = []
    if baseline is not None:
        chosen = baselines(configs, test_sets, baseline)
        pairs = [(at, other) for at, other in enumerate(chosen) if other is not None]
        without = [label for at, label in enumerate(labels) if at not in {index for pair in pairs for index in pair}]
    groups = [
        [at for at, other in enumerate(test_sets) if other == same]
        for position, same in enumerate(test_sets)
        if same not in test_sets[:position]
    ]
    for group in groups:
        ranking = sorted(group, key=lambda at: _rank(results[at], step))
        pairs += [pair for pair in pairwise(ranking) if not {pair, pair[::-1]} & set(pairs)]
    remarks = []
    if without:
        remarks.append(f"no baseline for {', '.join(without)}: no '{baseline}' was tested on the same tasks")
    if len(groups) > 1:
        differing = [name for name in test_sets[0] if any(other[name] != test_sets[0][name] for other in test_sets)]
        sets = "; ".join(", ".join(labels[at] for at in group) for group in groups)
        remarks.append(f"paired only within a test set, and these differ in {' and '.join(differing)}: {sets}")
    rows = [difference((labels[a], results[a]), (labels[b], results[b]), step) for a, b in pairs]
    return Differences(rows, step, baseline, remarks)


def check(configs: Sequence[Config], baseline: str | None, step: int | None) -> None:
    """Refuse, before anything is trained, a question that `differences` could not answer.

    Raises:
        UsageError: there is no such baseline or step.
    """
    _step(configs, step)
    if baseline is not None:
        baselines(configs, list(map(test_set, configs)), baseline)


def test_set(config: Config) -> dict[str, Any]:
    """What its test tasks are a function of; a GPU draws other random numbers than a CPU."""
    settings = config["settings"]
    device = settings["device"].partition(":")[0]
    return {"task": config["task"], "test seed": settings["test_seed"], "kind of device": device}


def _step(configs: Sequence[Config], step: int | None) -> int:
    last: int = min((config["settings"]["test_steps"] for config in configs), default=0)
    if step is not None and not 0 <= step <= last:
        raise UsageError(f"no difference after {step} adaptation steps: all results have 0 to {last}")
    return last if step is None else step


def _rank(result: Result, step: int) -> tuple[bool, float]:
    """The best mean first, one that is not finite last."""
    mean = float(result.evaluation.mean[step])
    return (not math.isfinite(mean), 0 if math.isnan(mean) else -mean if result.evaluation.higher_is_better else mean)


def difference(first: tuple[str, Result], second: tuple[str, Result], step: int) -> Difference:
    """Pair two results, each with what it is called, that were tested on the same tasks."""
    (label, one), (other, two) = first, second
    diverged = {
        seed: [name for name, result in (first, second) if seed in result.diverged]
        for seed in sorted({*one.diverged, *two.diverged})
    }
    seeds = [seed for seed in one.seeds if seed in two.seeds and seed not in diverged]
    at_step = [_values(result)[[result.seeds.index(seed) for seed in seeds], :, step] for result in (one, two)]
    with np.errstate(invalid="ignore"):  # infinities are data here
        values = at_step[0].astype(np.float64) - at_step[1].astype(np.float64)
    infinite = int((~np.isfinite(values)).any(0).sum())
    alike = len(seeds) > 1 and bool((values == values[:1]).all())
    return Difference(
        label=label,
        other=other,
        metric=one.evaluation.metric,
        higher_is_better=one.evaluation.higher_is_better,
        interval=pigeonhole_ci95(values[:1] if alike else values) if seeds and not infinite else NO_INTERVAL,
        seeds=seeds,
        unshared=sorted({*one.seeds} ^ {*two.seeds}),
        diverged=diverged,
        alike=alike,
        test_tasks=values.shape[1],
        infinite=infinite,
    )


def _values(result: Result) -> Any:
    """The metric that tables show, [seeds, test tasks, steps + 1]."""
    return result.evaluation.values[result.evaluation.metric]


def _bracketed(low: float, high: float) -> str:
    return f"[{number(low, 3)}, {number(high, 3)}]"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _named(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
