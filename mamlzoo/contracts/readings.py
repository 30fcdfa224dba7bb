"""A prediction as a task reads it: points, and a distribution where there is one."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from mamlzoo.contracts.distributions import Distribution
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.return_values import check_distribution


class Reading(NamedTuple):
    """What is predicted of n examples.

    Attributes:
        points: what metrics see: the distribution's, or the outputs as they are.
        distribution: the algorithm's own; else what the task reads the outputs as, if anything.
    """

    points: Tensor
    distribution: Distribution | None


def reading_of(task: Task, prediction: Tensor | Distribution) -> Reading:
    """What a task reads a prediction for n examples as.

    Raises:
        PluginError: the task's `distribution` returned something else.
    """
    if isinstance(prediction, Distribution):
        return Reading(prediction.points, prediction)
    found = task.distribution(prediction)
    if found is None:
        return Reading(prediction, None)
    found = check_distribution(task, "distribution", found, len(prediction), task.spec)
    return Reading(found.points, found)
