"""A trained θ beside one of the test tasks that a figure shows it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from mamlzoo.contracts import options
from mamlzoo.contracts.data import Episode
from mamlzoo.contracts.plugins import Task
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.episodes import TestSet
from mamlzoo.errors import UsageError
from mamlzoo.experiments.result import Result
from mamlzoo.inference import meta_parameters
from mamlzoo.runs.config import check_data


@dataclass(frozen=True)
class ShownTask:
    """One of the test tasks of a run, to be shown.

    Attributes:
        task: whose it is.
        bound: the algorithm and θ of one seed.
        at: its number.
        test_seed: the run's.
    """

    task: Task
    bound: Bound
    at: int
    test_seed: int

    def episode(self, task: Task | None = None) -> Episode:
        """Its episode, every leaf with a leading axis of 1.

        Args:
            task: None: the own one.
        """
        return TestSet(task or self.task, self.at + 1, self.test_seed, torch.device("cpu")).episode(self.at)


def shown_task(result: Result, episode: int, seed: int | None, task_options: Mapping[str, Any]) -> ShownTask:
    """One of the test tasks of a result.

    Args:
        episode: which.
        seed: whose θ; None: the first seed's that did not diverge.
        task_options: options of the task that are to differ from the run's.

    Raises:
        UsageError: the seed was not trained, there is no such episode, or what the task reads has changed.
    """
    run = meta_parameters.experiment_of(result)
    check_data(run, result.config)
    own = run.task
    if task_options:  # all of them are known to be right before any is changed
        options.make(type(own), task_options, f"task '{own.name}'")
    task = replace(own, **task_options) if task_options else own
    available = task.spec.test_episodes
    if episode < 0 or (available is not None and episode >= available):
        raise UsageError(f"task '{task.name}' has {available} test episodes, numbered from 0; there is no {episode}")
    experiment, bound = meta_parameters.of_seed(result, seed, task)
    return ShownTask(task, bound, episode, experiment.settings.test_seed)
