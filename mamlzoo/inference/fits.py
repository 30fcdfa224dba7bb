"""What a trained θ makes of one episode: what it predicts after a few numbers of adaptation steps, for figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo import tables, trees
from mamlzoo.contracts.data import Batch, Episode, without_padding
from mamlzoo.contracts.distributions import Distribution
from mamlzoo.contracts.inputs import Input
from mamlzoo.contracts.plugins import HasGrid, Task
from mamlzoo.contracts.readings import Reading
from mamlzoo.contracts.return_values import broken
from mamlzoo.engine.adaptation import readings
from mamlzoo.errors import UsageError
from mamlzoo.experiments.result import Result
from mamlzoo.inference import meta_parameters
from mamlzoo.inference.embeddings import Embedding
from mamlzoo.inference.fields import Field, field_of, grid_of
from mamlzoo.inference.pictures import Pictures, pictures, shows
from mamlzoo.inference.shown_tasks import ShownTask, shown_task

STEPS = (0, 1, 10)
"""Numbers of adaptation steps after which a figure shows what is predicted."""
GRID = 200
"""Points of a curve."""
ALONG = 60
"""Points along each input where a plane of two inputs is drawn."""
SHOWN = 0.9
"""How often the target is to lie in the band around a curve."""
CLASSES = 6
"""Up to so many classes have a colour and a mark of their own."""


Band = tuple[NDArray[np.float32], NDArray[np.float32]]
"""The lower and the upper ends of intervals."""


@dataclass(frozen=True)
class Fit:
    """One episode of a task from one number to one number, and what one seed predicts on it.

    Attributes:
        support, query: points (x, y), each [n, 2], the query's sorted by x.
        x: where predictions were made, [GRID].
        predictions: number of adaptation steps -> values at x, [GRID].
        truth: points of the true function, [GRID, 2]; None where the task does not tell it.
        input, output: what x and y are called.
        bands: number of adaptation steps -> the ends of 90% intervals at x, each [GRID]; none of points alone.
    """

    title: str
    support: NDArray[np.float32]
    query: NDArray[np.float32]
    x: NDArray[np.float32]
    predictions: Mapping[int, NDArray[np.float32]]
    truth: NDArray[np.float32] | None = None
    input: str = "x"
    output: str = "y"
    bands: Mapping[int, Band] = field(default_factory=dict)


@dataclass(frozen=True)
class Agreement:
    """Predicted and true targets of the query points, where inputs are more than one number.

    Attributes:
        target: [n, outputs].
        predictions: number of adaptation steps -> [n, outputs].
    """

    title: str
    target: NDArray[np.float32]
    predictions: Mapping[int, NDArray[np.float32]]


@dataclass(frozen=True)
class Regions:
    """Which class is predicted where, in a plane of two inputs, after a number of steps.

    Attributes:
        support, query: inputs, each [n, 2].
        support_class, query_class: their classes, each [n].
        x: [ALONG, ALONG, 2].
        outputs: the network's at x, [ALONG, ALONG, classes].
    """

    title: str
    support: NDArray[np.float32]
    support_class: NDArray[np.int64]
    query: NDArray[np.float32]
    query_class: NDArray[np.int64]
    x: NDArray[np.float32]
    outputs: NDArray[np.float32]

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.outputs.shape[-1])

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Classes at x, [ALONG, ALONG]; −1 where the outputs are not finite."""
        return _chosen(self.outputs)

    def lead(self, at: int) -> NDArray[np.float64]:
        """How far a class is ahead of the best other one at x: above 0 in its region, NaN where that is not finite."""
        outputs = np.where(np.isfinite(self.outputs).all(-1, keepdims=True), self.outputs, np.nan).astype(np.float64)
        ahead: NDArray[np.float64] = outputs[..., at] - np.delete(outputs, at, -1).max(-1)
        return ahead


@dataclass(frozen=True)
class Confusion:
    """How many query points of each class are predicted to be of each, after a number of steps.

    Attributes:
        counts: [true classes, predicted classes]; a point whose prediction is not finite counts nowhere.
    """

    title: str
    counts: NDArray[np.int64]


Panel = Fit | Agreement | Regions | Confusion | Pictures | Field | Embedding
"""What is drawn into one pair of axes."""


def is_curve(task: Task) -> bool:
    """Whether the task's episodes are functions from one number to one number."""
    return _is_of_one_number(task) and task.spec.target_shape == (1,)


def fit(result: Result, **given: Any) -> Fit:
    """The only panel of a task from one number to one number; arguments as for `panels`.

    Raises:
        UsageError: it is another task, or as `panels`.
    """
    task = meta_parameters.experiment_of(result).task
    if not is_curve(task):
        raise UsageError(f"task '{task.name}' is not from one number to one number")
    (panel,) = panels(result, **given)
    assert isinstance(panel, Fit)
    return panel


def panels(
    result: Result,
    *,
    steps: Sequence[int] = STEPS,
    episode: int = 0,
    seed: int | None = None,
    task_options: Mapping[str, Any] = MappingProxyType({}),
    title: str | None = None,
) -> list[Panel]:
    """Adapt a result's θ to one test episode, for a figure of what it predicts.

    Of a regression on one number a panel for each output; on a grid of two, one of images; on others, one of predicted
    against true targets. Of a classification a panel for each number of steps: regions where an input is two numbers,
    images where it is one, else counts.

    Args:
        episode: which of the test episodes.
        seed: whose θ; None: the first seed's that did not diverge.
        task_options: options of the task that are to differ from the run's, as a one-sided support range.
        title: None: the result's name.

    Raises:
        UsageError: the seed was not trained, there is no such episode, or what the task reads has changed.
    """
    shown = shown_task(result, episode, seed, task_options)
    task, bound, drawn = shown.task, shown.bound, _drawn(shown)

    def predict(x: Any) -> dict[int, Reading]:
        one = trees.tree_map(lambda leaf: leaf[None], x)
        found = readings(bound, task, bound.meta, drawn.episode.support, one, max(steps), "loop", drawn.episode.key)
        return {step: _alone(found[step]) for step in steps}

    title = result.name if title is None else title
    if task.spec.kind == "classification":
        flat_pair = task.spec.structure == Input((2,)) and task.spec.output_size <= CLASSES
        if shows(task.spec):
            return _pictures(title, drawn.episode, predict)
        return (_regions if flat_pair else _confusions)(title, drawn.episode, predict)
    if _is_of_one_number(task):
        return _fits(title, drawn, predict)
    query = without_padding(drawn.episode.query)
    found, grid = predict(trees.index(query.x, 0)), grid_of(task.spec, query)
    if grid is not None:
        return [field_of(title, drawn.episode, grid, found)]
    return [Agreement(title, query.y[0].numpy(), _points(found))]


def _is_of_one_number(task: Task) -> bool:
    return task.spec.structure == Input((1,)) and task.spec.kind == "regression"


class _Drawn(NamedTuple):
    """A test episode with a leading axis of 1, and the true function on a grid where the task tells it."""

    episode: Episode
    truth: Batch | None


def _drawn(shown: ShownTask) -> _Drawn:
    own, task = shown.episode(), shown.task
    if not _is_of_one_number(task) or not isinstance(task, HasGrid):
        return _Drawn(own, None)
    dense = shown.episode(task.on_grid(GRID))
    if not all(map(torch.equal, own.support, dense.support)):
        raise broken(task, "on_grid gives other support sets than the task itself")
    return _Drawn(own, dense.query)


Predict = Callable[[Tensor], dict[int, Reading]]
"""Inputs [n, *input_shape] -> number of adaptation steps -> what is predicted, points [n, …]."""


def _alone(reading: Reading) -> Reading:
    """Of the only seed and the only episode."""
    found = reading.distribution
    return Reading(reading.points[0, 0].cpu(), None if found is None else trees.index(found, (0, 0)))


def _points(readings: Mapping[int, Reading]) -> dict[int, NDArray[np.float32]]:
    return {step: reading.points.numpy() for step, reading in readings.items()}


def band_of(distribution: Distribution | None) -> Band | None:
    """The ends of the 90% intervals, each [n, targets]; None where there are none."""
    if distribution is None or not distribution.reaches(SHOWN):
        return None
    low, high = distribution.interval(SHOWN)
    return low.cpu().numpy(), high.cpu().numpy()


def _fits(title: str, drawn: _Drawn, predict: Predict) -> list[Panel]:
    """One for each output."""
    support, query = map(without_padding, drawn.episode)
    seen = torch.cat([support.x.flatten(), query.x.flatten()])
    x = torch.linspace(float(seen.min()), float(seen.max()), GRID)
    readings, outputs = predict(x[:, None]), support.y.shape[-1]
    predicted = _points(readings)
    bands = {step: band for step, reading in readings.items() if (band := band_of(reading.distribution))}

    def points(batch: Batch, at: int) -> NDArray[np.float32]:
        array: NDArray[np.float32] = torch.stack([batch.x[0, :, 0], batch.y[0, :, at]], -1).numpy()
        return array[array[:, 0].argsort(kind="stable")]

    return [
        Fit(
            title=title,
            support=points(support, at),
            query=points(query, at),
            x=x.numpy(),
            predictions={step: values[:, at] for step, values in predicted.items()},
            truth=None if drawn.truth is None else points(drawn.truth, at),
            output="y" if outputs == 1 else f"y{at + 1}",
            bands={step: (low[:, at], high[:, at]) for step, (low, high) in bands.items()},
        )
        for at in range(outputs)
    ]


def _regions(title: str, episode: Episode, predict: Predict) -> list[Panel]:
    """One for each number of steps."""
    support, query = map(without_padding, episode)
    seen = torch.cat([support.x[0], query.x[0]])
    low, high = seen.amin(0), seen.amax(0)
    margin = 0.06 * (high - low).clamp_min(1e-6)
    sides = [torch.linspace(float(a), float(b), ALONG) for a, b in zip(low - margin, high + margin, strict=True)]
    x = torch.stack(torch.meshgrid(*sides, indexing="xy"), -1)
    known = (support.x[0].numpy(), support.y[0].numpy(), query.x[0].numpy(), query.y[0].numpy())
    return [
        Regions(_after(title, step), *known, x.numpy(), outputs.reshape(ALONG, ALONG, -1))
        for step, outputs in _points(predict(x.flatten(0, 1))).items()
    ]


def _pictures(title: str, episode: Episode, predict: Predict) -> list[Panel]:
    """One for each number of steps."""
    outputs = _points(predict(trees.index(without_padding(episode.query).x, 0)))
    return [pictures(_after(title, step), episode, _chosen(found)) for step, found in outputs.items()]


def _confusions(title: str, episode: Episode, predict: Predict) -> list[Panel]:
    """One for each number of steps."""
    query = without_padding(episode.query)
    true = query.y[0].numpy()
    found = list[Panel]()
    for step, outputs in _points(predict(trees.index(query.x, 0))).items():
        chosen, classes = _chosen(outputs), outputs.shape[-1]
        counts = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(counts, (true[chosen >= 0], chosen[chosen >= 0]), 1)
        found.append(Confusion(_after(title, step), counts))
    return found


def _chosen(outputs: NDArray[np.float32]) -> NDArray[np.int64]:
    """The class of the largest output; −1 where the outputs are not finite."""
    found: NDArray[np.int64] = np.where(np.isfinite(outputs).all(-1), outputs.argmax(-1), -1)
    return found


def _after(title: str, steps: int) -> str:
    return f"{title}\nafter {tables.count(steps, 'step')}".strip()
