"""A task's metrics of sets with padding: those of the examples that are there, whatever the metrics are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.return_values import check_metrics


def padded_metrics(
    task: Task, prediction: Tensor, target: Tensor, mask: Tensor, mapped: Callable[..., Any]
) -> dict[str, Tensor]:
    """By name, [seeds, episodes].

    Episodes with as many examples are computed together, without the padding, so that a metric that is no mean over
    examples, as a correlation, is right too.

    Args:
        prediction: [seeds, episodes, n, output_size].
        target: [episodes, n, …].
        mask: [episodes, n].
        mapped: maps a function over a leading axis, as `torch.vmap` does.
    """

    def metrics(prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return check_metrics(task, task.metrics(prediction, target))

    by_seed = mapped(mapped(metrics, in_dims=(0, 0)), in_dims=(0, None))
    counts = mask.sum(1)
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)  # those that are there first
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        for count in counts.unique().tolist():
            rows = (counts == count).nonzero()[:, 0]
            at = order[rows, :count]
            values = by_seed(prediction[:, rows[:, None], at], target[rows[:, None], at])
            for name, value in values.items():
                whole = found.setdefault(name, value.new_zeros(len(value), len(mask)))
                whole[:, rows] = value
    return found
