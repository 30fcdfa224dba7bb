"""What a sweep found: a cell for each combination of values, chosen by validation, reported on test."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mamlzoo
from mamlzoo import notebooks
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.errors import UsageError
from mamlzoo.experiments.transduction import transductive_notes
from mamlzoo.files import json_document
from mamlzoo.sweeps.axes import Axis, text
from mamlzoo.sweeps.cells import Cell, Scores
from mamlzoo.sweeps.selection import best_of, by_seed, rivals
from mamlzoo.tables import Table, csv_cell, duration, named


@dataclass(frozen=True, repr=False)
class Sweep:
    """Every combination of several values, in the order in which they were given.

    Which cell is best is decided on the validation episodes, and its test metric is the one to report: the best of
    many test metrics would be too good.
    """

    axes: Sequence[Axis]
    cells: Sequence[Cell]

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def _ipython_display_(self) -> None:
        notebooks.show(self.table(), *([self.plot()] if self.finished else []))

    @property
    def finished(self) -> list[tuple[Cell, Scores]]:
        """The cells that came to their end, with their numbers."""
        return [(cell, cell.scores) for cell in self.cells if cell.scores is not None]

    @property
    def failed(self) -> list[Cell]:
        """The cells that did not."""
        return [cell for cell in self.cells if cell.state == "failed"]

    def best(self) -> Cell:
        """The cell with the best validation metric; one with a diverged seed only if every cell has one.

        Raises:
            UsageError: no cell has a finite one, or the cells are of several tasks, whose metrics do not compare.
        """
        tasks, best = len(self._by_task()), self.best_of_each_task()
        if tasks > 1:
            raise UsageError(f"the cells are of {tasks} tasks, whose metrics do not compare; use best_of_each_task()")
        if not best:
            raise UsageError("no cell has a finite validation metric, so that none is best")
        return best[0]

    def best_of_each_task(self) -> list[Cell]:
        """For each task, with its options, the best cell, as `best`; without the tasks that have none."""
        found = [best_of(group) for group in self._by_task().values()]
        return [cell for cell in found if cell is not None]

    def label(self, cell: Cell) -> str:
        """As in `inner_lr=0.01, meta_batch=4`."""
        return ", ".join(f"{axis.name}={text(cell.values[axis.key])}" for axis in self.axes if axis.key in cell.values)

    def table(self) -> Table:
        """One row a cell: its values, its validation and its test metric after the last adaptation step."""
        metrics = list(dict.fromkeys(scores.metric for _, scores in self.finished))
        metric = metrics[0] if len(metrics) == 1 else "metric"
        columns = ["", *(axis.name for axis in self.axes), f"valid {metric}", f"test {metric}", "diverged", "seconds"]
        best, rows = self.chosen, []
        for cell in self.cells:
            swept = [text(cell.values[axis.key]) if axis.key in cell.values else "" for axis in self.axes]
            mark = "best" if any(cell is one for one in best) else ""
            rows.append([mark, *swept, *_shown(cell, several=len(metrics) > 1)])
        left = [at for at, axis in enumerate(self.axes, 1) if not axis.is_numeric]
        title = f"{self.name()}: validation and test {metric} after the last adaptation step"
        return Table(title, columns, rows, self._notes(), left=(0, *left), keys=1 + len(self.axes))

    def name(self) -> str:
        """As in `sine × mlp × 2 algorithms`."""
        config = next((cell.config for cell in self.cells if cell.config is not None), None)
        swept = {axis.key: f"{len(axis.values)} {axis.key}s" for axis in self.axes}
        return " × ".join(swept.get(kind) or (config[kind]["name"] if config else kind) for kind in KINDS)

    def document(self) -> dict[str, Any]:
        """Axes and cells, as JSON holds them; what is not finite is null."""
        best = self.chosen
        document = {
            "axes": [{"key": axis.key, "values": list(axis.values)} for axis in self.axes],
            "cells": [_document(cell, any(cell is one for one in best)) for cell in self.cells],
        }
        return json_document(document)

    def csv(self) -> str:
        """One row a cell, one column an axis and a number; a field is empty where there is nothing."""
        best, lines = self.chosen, io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        numbers = ["metric", "valid", "valid_ci95", "test", "test_ci95", "ci95_over", "seeds", "diverged", "seconds"]
        writer.writerow([*(axis.key for axis in self.axes), "state", "best", *numbers, "run", "error"])
        for cell in self.cells:
            swept = [text(cell.values[axis.key]) if axis.key in cell.values else "" for axis in self.axes]
            mark = "yes" if any(cell is one for one in best) else "no"
            run = "" if cell.run_dir is None or cell.scores is None else cell.run_dir.name
            row = [*swept, cell.state, mark, *_numbers(cell.scores, len(numbers)), run, cell.error or ""]
            writer.writerow([csv_cell(value) if isinstance(value, str) else value for value in row])
        return lines.getvalue()

    def plot(self) -> mamlzoo.Figure:
        """The validation and the test metric by the values of one axis, or as heat maps over two, as `mamlzoo.plot`."""
        return mamlzoo.plot(self)

    def _by_task(self) -> dict[str, list[tuple[Cell, Scores]]]:
        groups: dict[str, list[tuple[Cell, Scores]]] = {}
        for cell, scores in self.finished:
            assert cell.config is not None
            groups.setdefault(json.dumps(cell.config["task"], sort_keys=True), []).append((cell, scores))
        return groups

    @property
    def chosen(self) -> list[Cell]:
        """The best of each task, where there was anything to choose between."""
        tasks = len(self._by_task())
        return self.best_of_each_task() if tasks == 1 or len(self.finished) > tasks else []

    def _notes(self) -> list[str]:
        finished, notes = self.finished, list[str]()
        bases = Counter(scores.basis for _, scores in finished if len(scores.diverged) < scores.seeds)
        for basis, cells in bases.items():
            notes.append(f"test: {basis}" if len(bases) == 1 else f"test, {cells} of {len(finished)} cells: {basis}")
        if finished:
            has_interval = any(not math.isnan(scores.valid.ci95) for _, scores in finished)
            interval = "95% t interval over seeds" if has_interval else "no interval, since it would be over seeds"
            notes.append(f"valid: mean over validation tasks and the same seeds; {interval}")
        notes += transductive_notes({self.label(cell): scores.is_transductive for cell, scores in finished})
        chosen, several = self.chosen, len(self._by_task()) > 1
        for group in self._by_task().values():
            for cell, scores in group:
                if any(cell is one for one in chosen):
                    notes.append(_verdict(self.label(cell), cell, scores, several=several))
                    others = {self.label(other): by_seed(other) for other, _ in group if other is not cell}
                    notes += rivals(self.label(cell), by_seed(cell), others, higher=scores.higher_is_better)
        if several and not chosen:
            notes.append("every cell is a task of its own, so there is nothing to choose between")
        for cell, scores in finished:
            if scores.diverged:
                seeds = named("seed", scores.diverged)
                notes.append(f"{self.label(cell)}: {seeds} diverged in training, left out of the means")
        if any(math.isinf(mean) for _, scores in finished for mean in (scores.valid.mean, scores.test.mean)):
            notes.append(
                "'diverged' for a mean: adaptation ran to infinity on some task; a smaller inner rate may help"
            )
        return notes + [f"{self.label(cell)}: failed: {cell.error}" for cell in self.failed]


def _shown(cell: Cell, *, several: bool) -> list[str]:
    scores = cell.scores
    if scores is None:
        return [cell.state, "", "", ""]
    unit = f" {scores.metric}" if several else ""
    diverged = f"{len(scores.diverged)} of {scores.seeds}"
    return [f"{scores.valid}{unit}", f"{scores.test}{unit}", diverged, duration(scores.seconds)]


def _verdict(label: str, cell: Cell, scores: Scores, *, several: bool) -> str:
    task = f" of {cell.config['task']['name']}" if several and cell.config is not None else ""
    report = f"the figure to report is its test {scores.metric}, {scores.test}"
    return f"best{task} by validation: {label} ({cell.run_dir}); {report}"


def _document(cell: Cell, best: bool) -> dict[str, Any]:
    scores = cell.scores
    return {
        "values": dict(cell.values),
        "state": cell.state,
        "error": cell.error,
        "run": None if scores is None or cell.run_dir is None else cell.run_dir.name,
        "best": best,
        "evaluation": scores
        and {
            "metric": scores.metric,
            "higher_is_better": scores.higher_is_better,
            "valid": scores.valid.document(),
            "test": scores.test.document(),
            "ci95_over": scores.over,
            "diverged": {str(seed): step for seed, step in scores.diverged.items()},
            "seconds": scores.seconds,
        },
        "config": cell.config,
    }


def _numbers(scores: Scores | None, columns: int) -> list[Any]:
    if scores is None:
        return [""] * columns
    found = [*scores.valid[:2], *scores.test[:2]]
    numbers = ["" if math.isnan(value) else value for value in found]
    return [scores.metric, *numbers, scores.over, scores.seeds, len(scores.diverged), round(scores.seconds, 3)]
