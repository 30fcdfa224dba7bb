"""A paired difference of two results: its verdict, and what that rests on, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mamlzoo.experiments.metrics import FEW_TASKS
from mamlzoo.files import json_document
from mamlzoo.statistics import MOST_SEEDS, Interval
from mamlzoo.tables import NOT_APART, count, named, number

NO_VERDICT = "no verdict"


@dataclass(frozen=True)
class Difference:
    """By how much the metric of one result exceeds that of another.

    Attributes:
        label, other: the two results, as their comparison calls them.
        metric: of which this is the difference, label's minus other's.
        higher_is_better: whether the metric grows as learning succeeds.
        interval: the mean over test tasks and seeds and its interval; NaN where there is none.
        confidence: of the interval: 0.95, or more where several differences hold together at 0.95.
        seeds: those that count: both results have them, and they diverged in neither.
        unshared: seeds that only one of the two has.
        diverged: seed -> the results in which it diverged.
        alike: whether several seeds found the very same differences: another would, too.
        test_tasks: how many there are.
        infinite: on how many of them adaptation ran to infinity.
        seeds_needed: with about how many seeds the interval would leave out 0, were their mean and spread what these
            show; None where that is not known or more than 1,000.
    """

    label: str
    other: str
    metric: str
    higher_is_better: bool
    interval: Interval
    confidence: float
    seeds: Sequence[int]
    unshared: Sequence[int]
    diverged: Mapping[int, Sequence[str]]
    alike: bool
    test_tasks: int
    infinite: int
    seeds_needed: int | None

    @property
    def over(self) -> str:
        """What the interval is taken over: whichever there are several of; empty if there is no interval."""
        if math.isnan(self.interval.low):
            return ""
        several = {"seeds": len(self.seeds) > 1 and not self.alike, "test tasks": self.test_tasks > 1}
        return " and ".join(name for name, are_several in several.items() if are_several)

    @property
    def winner(self) -> str | None:
        """Which of the two is better, where that is the verdict."""
        _, low, high = self.interval
        if hindrance(self) or low <= 0 <= high:
            return None
        return self.label if (low > 0) == self.higher_is_better else self.other

    @property
    def verdict(self) -> str:
        """In words: 'maml is better', 'transfer is worse', 'cannot be told apart', 'no verdict'."""
        if hindrance(self):
            return NO_VERDICT
        if self.winner is None:
            return NOT_APART
        return f"{self.label} is {'better' if self.winner == self.label else 'worse'}"

    def sentence(self) -> str:
        """The verdict and what it rests on."""
        if hindrance(self):
            here = (
                f" (in {named('seed', self.seeds)}, {self.label}'s {_amount(self)})"
                if len(self.seeds) == 1 and self.over
                else ""
            )
            said = f"no verdict on {pair(self)}: {hindrance(self)}{here}"
        elif self.winner is not None:
            said = f"{self.verdict} than {self.other}: its {_amount(self)}"
        elif is_zero(self):
            said = f"{pair(self)} found the very same numbers"
        else:
            said = f"{pair(self)} {NOT_APART} with {evidence(self)}: {self.label}'s {_amount(self)}; {remedy(self)}"
        return f"{said}; this rests on {left(self)}" if left(self) and self.seeds else said

    def basis(self) -> str:
        """What an interval was taken over, and what it does not speak of."""
        tasks, seeds = count(self.test_tasks, "test task"), count(len(self.seeds), "seed")
        said = f"paired on the same {tasks} and {seeds}; {100 * self.confidence:.4g}% t interval over {self.over}"
        if "seeds" not in self.over:
            if self.alike:
                return f"{said} only, as the seeds found the very same differences"
            return f"{said} only, as there is one seed: it says nothing of another training run"
        if "test tasks" not in self.over:
            return f"{said} only, as there is one test task: it says nothing of another task"
        return said

    def document(self) -> dict[str, Any]:
        """As JSON holds it; what is not finite is null."""
        return json_document(
            {
                "label": self.label,
                "other": self.other,
                "metric": self.metric,
                "difference": self.interval.mean,
                "low": self.interval.low,
                "high": self.interval.high,
                "confidence": self.confidence,
                "seeds": list(self.seeds),
                "seeds_needed": self.seeds_needed,
                "diverged": {str(seed): list(where) for seed, where in self.diverged.items()},
                "over": self.over,
                "infinite_test_tasks": self.infinite,
                "verdict": self.verdict,
            }
        )


def hindrance(row: Difference) -> str:
    """Why there is no verdict; empty where nothing is in its way."""
    if not row.seeds:
        return f"there is {left(row)}"
    if row.infinite:
        return (
            f"adaptation ran to infinity on {row.infinite} of {count(row.test_tasks, 'test task')}, so their "
            "difference is not finite; a smaller inner rate may help"
        )
    if len(row.seeds) == 1:
        return "one seed says nothing of another training run; it takes several"
    if row.test_tasks < FEW_TASKS:
        say = "test task says nothing" if row.test_tasks == 1 else "test tasks say little"
        return f"{row.test_tasks} {say} of others; it takes {FEW_TASKS} at least"
    return ""


def pair(row: Difference) -> str:
    """Both names."""
    return f"{row.label} and {row.other}"


def left(row: Difference) -> str:
    """Which seeds are left, and where the others are; empty where none is missing."""
    if not row.diverged and not row.unshared:
        return ""
    those = f"{named('seed', row.seeds)} alone" if row.seeds else "no seed left"
    places = dict.fromkeys(map(tuple, row.diverged.values()))
    reasons = [
        f"{named('seed', [seed for seed in row.diverged if tuple(row.diverged[seed]) == where])} diverged in "
        + " and ".join(where)
        for where in places
    ]
    if row.unshared:
        reasons.append(f"only one of the two has {named('seed', row.unshared)}")
    return f"{those}, as {', '.join(reasons)}"


def evidence(row: Difference) -> str:
    """What there is too little of where they cannot be told apart."""
    return count(row.test_tasks, "test task") if row.alike else count(len(row.seeds), "seed")


def remedy(row: Difference) -> str:
    """How much of it would do."""
    if row.alike:
        return "seeds make no difference, more test tasks may"
    if row.seeds_needed is None:
        return f"{MOST_SEEDS} would not do either"
    return f"about {_rounded(row.seeds_needed)} would do"


def is_zero(row: Difference) -> bool:
    """Whether the two found the very same numbers."""
    return row.interval.low == row.interval.high == 0


def _amount(row: Difference) -> str:
    mean, low, high = row.interval
    low, high = (low, high) if mean > 0 else (-high, -low)
    way = "higher" if mean > 0 else "lower"
    return f"{row.metric} is {way} by {number(abs(mean), 3)} {bracketed(low, high)}"


def _rounded(seeds: int) -> int:
    """Above 10 to one digit, upwards: it is a guess."""
    unit: int = 10 ** (len(str(seeds)) - 1) if seeds > 10 else 1
    return -(-seeds // unit) * unit


def bracketed(low: float, high: float) -> str:
    """An interval, as in '[0.1, 0.2]'."""
    return f"[{number(low, 3)}, {number(high, 3)}]"
