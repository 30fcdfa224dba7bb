"""Several results side by side: tables, differences, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import mamlzoo
from mamlzoo import notebooks
from mamlzoo.comparisons import differences as paired
from mamlzoo.comparisons import labels
from mamlzoo.experiments.metrics import Evaluation
from mamlzoo.experiments.result import Result
from mamlzoo.tables import Table, grouped, number


@dataclass(frozen=True, repr=False)
class Comparison:
    """Several experiments side by side, on the same test tasks where their task is the same.

    Attributes:
        baseline, step: what `differences` takes where nothing else is asked for.
    """

    results: Sequence[Result]
    baseline: str | None = None
    step: int | None = None

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def _ipython_display_(self) -> None:
        notebooks.show(self.table(), self.plot())

    def labels(self) -> list[str]:
        """What tells each result from the others: names, then an option or a setting, then a number."""
        return labels.labels([result.config for result in self.results])

    def table(self) -> Table:
        """One column an experiment, one row a number of adaptation steps."""
        evaluations = [result.evaluation for result in self.results]
        metrics = {evaluation.metric for evaluation in evaluations}
        columns = ["steps"] + [
            label if len(metrics) == 1 else f"{label} ({evaluation.metric})"
            for label, evaluation in zip(self.labels(), evaluations, strict=True)
        ]
        rows = [
            [str(step), *(_cell(evaluation, step) for evaluation in evaluations)]
            for step in range(max(len(evaluation.steps) for evaluation in evaluations))
        ]
        named = list(zip(self.labels(), self.results, strict=True))
        bases = grouped((result.basis(), label) for label, result in named)
        caveats = grouped((note, label) for label, result in named for note in result.caveats())
        notes = list(bases) if len(bases) == 1 else _of(bases)
        notes += [*labels.legend([result.config for result in self.results]), *_of(caveats)]
        metric = metrics.pop() if len(metrics) == 1 else "metric"
        return Table(f"test {metric} after adaptation", columns, rows, notes)

    def differences(self, baseline: str | None = None, step: int | None = None) -> paired.Differences:
        """Paired differences on the same test tasks: of every two, or of each and a baseline.

        Args:
            baseline: a label, or the name of an algorithm or model; None: the comparison's own, or no baseline.
            step: after how many adaptation steps; None: the comparison's own, or the last that all have.

        Raises:
            UsageError: there is no such baseline or step.
        """
        if baseline is None and step is None:
            return self._differences
        return replace(
            self, baseline=self.baseline if baseline is None else baseline, step=self.step if step is None else step
        )._differences

    @cached_property
    def _differences(self) -> paired.Differences:
        return paired.differences(self.results, self.labels(), self.baseline, self.step)

    def document(self) -> dict[str, Any]:
        """All results and their paired differences, as JSON holds them."""
        return {
            "results": [result.document() for result in self.results],
            "differences": self.differences().document(),
        }

    def plot(self) -> mamlzoo.Figure:
        """Test metric by adaptation steps, one band an experiment."""
        return mamlzoo.plot(self)

    def save(self, directory: str | Path) -> Comparison:
        """Write a directory with a run directory for each experiment, as `mamlzoo.save` does."""
        return mamlzoo.save(self, directory)

    def report(self, path: str | Path) -> None:
        """Write one HTML page, as `mamlzoo.report` does."""
        mamlzoo.report(self, path)


def _of(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Each note once, behind the labels that it is about."""
    return [f"{', '.join(about)}: {note}" for note, about in notes.items()]


def _cell(evaluation: Evaluation, step: int) -> str:
    if step >= len(evaluation.steps):
        return ""
    return f"{number(evaluation.mean[step])} ± {number(evaluation.ci95[step], 3)}"
