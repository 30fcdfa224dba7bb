"""What a trained θ makes of one episode: its predictions after a few numbers of adaptation steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mamlzoo import options, trained
from mamlzoo.engine.evaluation import predictions
from mamlzoo.engine.streams import TestSet
from mamlzoo.errors import UsageError
from mamlzoo.interfaces import Task
from mamlzoo.result import Result

GRID = 200


@dataclass(frozen=True)
class Fit:
    """One episode of a task from one number to one number, and what one seed predicts on it.

    Attributes:
        support, query: points (x, y), each [n, 2], the query's sorted by x.
        x: where predictions were made, [GRID].
        predictions: number of adaptation steps -> values at x, [GRID].
        is_function: whether the query's points lie on the true function; measured ones may not.
    """

    title: str
    support: NDArray[np.float32]
    query: NDArray[np.float32]
    x: NDArray[np.float32]
    predictions: Mapping[int, NDArray[np.float32]]
    is_function: bool = True


def is_curve(task: Task) -> bool:
    """Whether the task's episodes are functions of one number that can be drawn."""
    return task.spec.input_shape == (1,) and task.spec.output_size == 1 and task.spec.kind == "regression"


def fit(
    result: Result,
    *,
    steps: Sequence[int] = (0, 1, 10),
    episode: int = 0,
    seed: int | None = None,
    task_options: Mapping[str, Any] = MappingProxyType({}),
) -> Fit:
    """Adapt a result's θ to one test episode.

    Args:
        episode: which of the test episodes.
        seed: whose θ; None: the first seed's that did not diverge.
        task_options: options of the task that are to differ from the run's, as a one-sided support range.

    Raises:
        UsageError: the task is not from one number to one number, what it reads has changed, or the seed was not
            trained.
    """
    run = trained.experiment_of(result)
    run.check_data(result.config)
    own = run.task
    task = replace(own, **task_options) if _checked(own, task_options) else own
    if not is_curve(task):
        raise UsageError(f"task '{task.name}' is not from one number to one number, so its fits cannot be drawn")
    available = task.spec.test_episodes
    if episode < 0 or (available is not None and episode >= available):
        raise UsageError(f"task '{task.name}' has {available} test episodes, numbered from 0; there is no {episode}")

    experiment, bound = trained.of_seed(result, seed, task)
    device = experiment.device()
    last = TestSet(task, episode + 1, experiment.settings.test_seed, device).episode(episode)
    seen = torch.cat([last.support.x.flatten(), last.query.x.flatten()])
    x = torch.linspace(float(seen.min()), float(seen.max()), GRID, device=device)
    predicted: Any = predictions(bound, bound.meta, last.support, x[None, :, None], max(steps), "loop")
    predicted = predicted[:, 0, 0, :, 0].cpu().numpy()
    points = [torch.cat([batch.x[0], batch.y[0]], -1).cpu().numpy() for batch in last]
    return Fit(
        title=result.name,
        support=points[0],
        query=points[1][points[1][:, 0].argsort()],
        x=x.cpu().numpy(),
        predictions={step: predicted[step] for step in steps},
        is_function=available is None,  # of so many episodes and no more, the points were measured
    )


def _checked(task: Task, given: Mapping[str, Any]) -> bool:
    """Whether there is anything to change, once all of it is known to be right."""
    if given:
        options.make(type(task), given, f"task '{task.name}'")
    return bool(given)


def curves(task: Task, count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The first `count` test episodes as curves on one grid: x [n], y [count, n].

    Raises:
        UsageError: the task has no such curves.
    """
    if not is_curve(task):
        raise UsageError(f"task '{task.name}' is not from one number to one number, so it has no curves to draw")
    query = [block.query for block in TestSet(task, count, seed, torch.device("cpu")).blocks()]
    x, y = torch.cat([batch.x[..., 0] for batch in query]), torch.cat([batch.y[..., 0] for batch in query])
    if not torch.equal(x, x[:1].expand_as(x)) or x.shape[1] < 2:
        raise UsageError(f"task '{task.name}' has no common grid of test inputs, so its curves cannot be overlaid")
    return x[0].numpy(), y.numpy()
