"""What a trained θ, adapted to a user's own points, predicts at others: the numbers, a table of them, and their files.

- predictions.csv: inputs and predictions, a line a point; of a classification the class and each class's probability;
  of a distribution of numbers its standard deviation, where it has one, and the ends of its 90% interval. Inputs,
  predictions and what belongs to them are in the units of the user's own data (`Task.in_units`).
- predictions.json: the document that `--json` prints.
- fit.png: support points and predictions, where the task is from one number to one number.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamlzoo import files
from mamlzoo.contracts.csv_points import input_names, numbered
from mamlzoo.contracts.data import Spec
from mamlzoo.contracts.distributions import Distribution, Gaussian
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.points import Points
from mamlzoo.experiments.result import Result
from mamlzoo.files import json_document
from mamlzoo.inference import fits
from mamlzoo.inference.adapted import Adapted
from mamlzoo.inference.fits import GRID, Fit
from mamlzoo.tables import Table, count, csv_cell, number

ROWS = 12
"""At most so many numbers of steps stand in the table, spread over all of them."""


@dataclass(frozen=True)
class Predicted:
    """Predictions of one seed's θ, adapted to one data set, all but metrics in the units of the user's own data.

    Attributes:
        result: what was trained.
        outputs: what is predicted at the query's inputs, [n, targets]; of a classification the network's outputs,
            [n, classes].
        metrics: by name, before and after adaptation; empty where the query has no targets.
        fit: for the figure; None where the task is not from one number to one number.
        where: at which inputs predictions were made, in words.
        uncertainty: by the name of a column, [n, targets]: 'sd', and 'low' and 'high', the 5% and 95% quantiles; empty
            where points are predicted, or classes.
    """

    result: Result
    adapted: Adapted
    support: Points
    query: Points
    outputs: NDArray[np.float32]
    metrics: Mapping[str, tuple[float, float]]
    fit: Fit | None
    where: str
    uncertainty: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def probabilities(self) -> NDArray[np.float64] | None:
        """The softmax of a classification's outputs, [n, classes]; None of a regression's."""
        if self._spec.kind != "classification":
            return None
        with np.errstate(invalid="ignore"):  # outputs may have run to infinity
            powers = np.exp(self.outputs.astype(np.float64) - self.outputs.max(1, keepdims=True))
            shares: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
        return shares

    def table(self) -> Table:
        """The support loss after numbers of adaptation steps."""
        losses = self.adapted.losses
        shown = np.unique(np.linspace(0, self.adapted.steps, min(ROWS, len(losses))).round().astype(int))
        title = f"{self.result.name}, adapted to {count(len(self.support.x), 'point')}"
        return Table(
            title, ["steps", "support loss"], [[str(step), number(losses[step])] for step in shown], self.notes()
        )

    def notes(self) -> list[str]:
        """What else a reader of the predictions must know."""
        notes, steps = (
            [self.where, *self.support.remarks, *self.query.remarks],
            f"after {count(self.adapted.steps, 'step')}",
        )
        for name, (before, after) in self.metrics.items():
            notes.append(f"query {name}: {number(before)} before adaptation, {number(after)} {steps}")
        if not np.array_equal(self.adapted.support.y[0].numpy(), np.asarray(self.support.y)):
            notes.append("losses and errors are of scaled targets; predictions are in your data's own units")
        if len(self.result.seeds) > 1:
            notes.append(
                f"θ of seed {self.adapted.seed}; --seed chooses among {', '.join(map(str, self.result.seeds))}"
            )
        if self.adapted.seed in self.result.diverged:
            notes.append(f"seed {self.adapted.seed} diverged in training, so its θ is of no use")
        if self._spec.kind == "classification":
            seen = set(np.asarray(self.support.y).tolist())
            absent = [self.support.class_name(at) for at in range(self._spec.output_size) if at not in seen]
            notes += [f"class {name} has no support point" for name in absent]
        if self.adapted.is_transductive:
            notes.append(
                "transductive: batch norm sees all query inputs at once, so a prediction depends on the others"
            )
        shares = self.probabilities  # a class without support points may have a logit of −∞, and so a share of 0
        wrong = int((~np.isfinite(self.outputs if shares is None else shares)).any(1).sum())
        if wrong:
            ran_away = np.isfinite(self.adapted.losses[0]) and not np.isfinite(self.adapted.losses[-1])
            reason = ": adaptation ran to infinity; fewer steps may help" if ran_away else ""
            notes.append(f"the prediction is not finite at {wrong} of {count(len(self.outputs), 'point')}{reason}")
        return notes

    def document(self, directory: Path) -> dict[str, Any]:
        """All of it, as JSON holds it; what is not finite is null.

        Args:
            directory: where it is saved.
        """
        probabilities = self.probabilities
        document = {
            "run_dir": None if self.result.run_dir is None else str(self.result.run_dir),
            "config": self.result.config,
            "seed": self.adapted.seed,
            "steps": self.adapted.steps,
            "support": self._document(self.support),
            "support_loss": self.adapted.losses.tolist(),
            "query": self._document(self.query),
            "metrics": {name: {"before": before, "after": after} for name, (before, after) in self.metrics.items()},
            "outputs": self.outputs.tolist(),
            **{name: values.tolist() for name, values in self.uncertainty.items()},
            "classes": None if probabilities is None else self._classes(probabilities),
            "probabilities": None if probabilities is None else probabilities.tolist(),
            "notes": self.notes(),
            "directory": str(directory),
        }
        return json_document(document)

    def lines(self) -> list[list[str]]:
        """The lines of predictions.csv, the names of the columns first."""
        columns: list[NDArray[Any]]
        if self.query.columns is None:
            header, columns = input_names(self._spec), [self.query.x.reshape(len(self.query.x), -1).astype(str)]
        else:
            header, columns = list(self.query.columns), [np.array(list(self.query.columns.values()), str).T]
        probabilities = self.probabilities
        if probabilities is None:
            for name, values in {"prediction": self.outputs, **self.uncertainty}.items():
                header += numbered(name, values.shape[1])
                columns.append(values.astype(str))
        else:
            named, classes = self.support.classes is not None, range(self._spec.output_size)
            header += ["class", *(f"p {self.support.class_name(at)}" if named else f"p{at}" for at in classes)]
            chosen = np.array(["" if name is None else str(name) for name in self._classes(probabilities)])
            columns += [chosen[:, None], probabilities.astype(np.float32).astype(str)]
        lines: list[list[str]] = np.concatenate(columns, 1).tolist()
        return [header, *lines]

    def write(self, into: Path, final: Path) -> None:
        """Write the files into a directory that will be called `final`."""
        files.write_json(into / "predictions.json", self.document(final))
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows([[csv_cell(cell) for cell in line] for line in self.lines()])
        files.write_text(into / "predictions.csv", lines.getvalue())

    @property
    def _spec(self) -> Spec:
        return self.adapted.experiment.task.spec

    def _classes(self, probabilities: NDArray[np.float64]) -> list[int | str | None]:
        """The most probable class of each point; None where the probabilities are not finite."""
        return [self._name(int(row.argmax())) if np.isfinite(row).all() else None for row in probabilities]

    def _name(self, at: int) -> int | str:
        """A class as documents call it: by its number where classes have no names."""
        return at if self.support.classes is None else self.support.class_name(at)

    def _document(self, points: Points) -> dict[str, Any]:
        y = None if points.y is None else points.y.tolist()
        if y is not None and self._spec.kind == "classification":
            y = [self._name(at) for at in y]
        columns = {} if points.columns is None else {"columns": {name: [*of] for name, of in points.columns.items()}}
        is_named = points.columns is not None and points.x.ndim > 2  # an image is known by its file's name
        return {"x": None if is_named else points.x.tolist(), "y": y, **columns}


def predict(
    result: Result, support: Points, query: Points | None = None, *, steps: int = 10, seed: int | None = None
) -> Predicted:
    """Adapt a result's θ to support points and predict.

    Args:
        query: where to predict; None: on a grid of 200 points over the support's range where an input is one number,
            else at the support's inputs. Where it has targets, metrics are taken.
        steps, seed: as for `Result.adapt`.

    Raises:
        UsageError: as `Result.adapt`.
    """
    assert support.y is not None
    adapted = result.adapt(support.x, support.y, steps=steps, seed=seed)
    task, given = adapted.experiment.task, query
    if query is not None:
        where = f"predicted at {count(len(query.x), 'point')} of yours"
    elif math.prod(task.spec.input_shape) == 1 and task.spec.inputs is None:
        query = Points(_grid(support.x).reshape(-1, *task.spec.input_shape))
        ends = task.in_units(query).x.flatten()[[0, -1]]
        where = f"predicted at {GRID} points from {ends[0]:.6g} to {ends[1]:.6g}; --query asks for others"
    else:
        query = replace(support, y=None, remarks=())
        where = "predicted at the support points themselves; --query asks for others"
    metrics = {}
    if query.y is not None:
        before = result.adapt(support.x, support.y, steps=0, seed=seed).measure(query.x, query.y)
        after = adapted.measure(query.x, query.y)
        metrics = {name: (float(before[name]), float(value)) for name, value in after.items()}
    fit = _fit(result, adapted, support, given) if fits.is_curve(task) else None
    outputs = adapted.predict(query.x)
    if task.spec.kind == "regression":
        outputs = _in_units(task, query, outputs)
    uncertainty = _uncertainty(task, query, adapted.distribution(query.x))
    units = task.in_units(support), task.in_units(query)
    return Predicted(result, adapted, *units, outputs, metrics, fit, where, uncertainty)


def _in_units(task: Task, at: Points, values: NDArray[Any]) -> NDArray[np.float32]:
    """Targets [n, targets] at these points, in the units of the user's own data."""
    y = task.in_units(replace(at, y=values)).y
    assert y is not None
    return y.astype(np.float32)


def _uncertainty(task: Task, at: Points, distribution: Distribution | None) -> dict[str, NDArray[np.float32]]:
    found, band = dict[str, NDArray[np.float32]](), fits.band_of(distribution)
    if isinstance(distribution, Gaussian):
        sd = distribution.sd.double().numpy()
        found["sd"] = _in_units(task, at, sd) - _in_units(task, at, np.zeros_like(sd))
    if band is not None:
        found |= {name: _in_units(task, at, end) for name, end in zip(("low", "high"), band, strict=True)}
    return found


def _fit(result: Result, adapted: Adapted, support: Points, query: Points | None) -> Fit:
    task = adapted.experiment.task
    grid = Points(_grid(support.x if query is None else np.concatenate([support.x, query.x]))[:, None])

    def curve(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return _in_units(task, grid, values)[:, 0]

    predictions, bands = {}, {}
    for steps in sorted({0, min(1, adapted.steps), adapted.steps}):
        less = result.adapt(support.x, np.asarray(support.y), steps=steps, seed=adapted.seed)
        predictions[steps] = curve(less.predict(grid.x))
        band = fits.band_of(less.distribution(grid.x))
        if band is not None:
            bands[steps] = curve(band[0]), curve(band[1])
    drawn = task.in_units(grid)
    return Fit(
        result.name,
        _pairs(task.in_units(support)),
        np.empty((0, 2), np.float32) if query is None else _pairs(task.in_units(query)),
        drawn.x[:, 0],
        predictions,
        input="x" if drawn.columns is None else ", ".join(drawn.columns),
        bands=bands,
    )


def _grid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """[GRID] numbers over the range of x, which is widened where it is a single number."""
    low, high = float(x.min()), float(x.max())
    return np.linspace(low - (low == high), high + (low == high), GRID).astype(np.float32)


def _pairs(points: Points) -> NDArray[np.float32]:
    """Points of a task from one number to one number as [n, 2]; none where y is not known."""
    if points.y is None:
        return np.empty((0, 2), np.float32)
    return np.concatenate([points.x, points.y], 1)
