"""What the loggers here all log: scalars, a series for each name and seed; the test as a table; figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mamlzoo

TESTED = "by adaptation step"
"""Scalars of the test have adaptation steps where others have meta-steps; their names end so."""


class Scalar(NamedTuple):
    """One number of one seed.

    Attributes:
        name: of what, as 'meta-loss'.
        step: meta-steps made; of the test, adaptation steps.
    """

    name: str
    seed: int
    step: int
    value: float

    @property
    def series(self) -> str:
        """As in 'meta-loss/seed 0'."""
        return f"{self.name}/seed {self.seed}"


def of_event(experiment: mamlzoo.Experiment, event: object) -> list[Scalar]:
    """Meta-losses, an algorithm's own scalars and validations; of other events there are none."""
    if isinstance(event, mamlzoo.TrainingRecord):
        return list(_by_seed(experiment.settings.seeds, event.step, {"meta-loss": event.losses, **event.logs}))
    if isinstance(event, mamlzoo.ValidationRecord):
        return list(_by_seed(experiment.settings.seeds, event.step, {f"valid {event.metric}": event.values}))
    return []


def of_result(result: mamlzoo.Result) -> list[Scalar]:
    """The mean of the test episodes, by seed and adaptation step."""
    evaluation = result.evaluation
    name = f"test {evaluation.metric} {TESTED}"
    return [
        Scalar(name, seed, int(step), float(mean))
        for seed, means in zip(result.seeds, evaluation.per_seed, strict=True)
        for step, mean in zip(evaluation.steps, means, strict=True)
    ]


def test_table(result: mamlzoo.Result) -> tuple[list[str], list[list[float]]]:
    """The test's columns, and a row for each number of adaptation steps: mean, half its interval, each seed's mean."""
    found = result.evaluation
    columns = ["adaptation step", found.metric, "± 95%", *(f"seed {seed}" for seed in result.seeds)]
    rows = zip(found.steps, found.mean, found.ci95, *found.per_seed, strict=True)
    return columns, [[int(step), *map(float, numbers)] for step, *numbers in rows]


def as_csv(lines: Iterable[Sequence[object]]) -> str:
    """The text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def figures(directory: Path) -> list[Path]:
    """The figures that a finished run has beside its result."""
    return sorted(directory.glob("*.png"))


def _by_seed(seeds: Sequence[int], step: int, values: Mapping[str, Iterable[float]]) -> Iterator[Scalar]:
    for name, of_seeds in values.items():
        for seed, value in zip(seeds, of_seeds, strict=True):
            yield Scalar(name, seed, step, float(value))
