"""How predictions of sets with padding are judged: by the examples that are there, whatever the metrics are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.distributions import Distribution
from mamlzoo.contracts.plugins import Task
from mamlzoo.engine.judgement import Judgement, judge


def judge_padded(
    task: Task, prediction: Tensor | Distribution, target: Tensor, mask: Tensor, mapped: Callable[..., Any]
) -> Judgement:
    """By name, [seeds, episodes] and sums [seeds, episodes, parts + 1].

    Episodes with as many examples are computed together, without the padding, so that a metric that is no mean over
    examples, as a correlation, is right too.

    Args:
        prediction: every leaf begins with [seeds, episodes, n].
        target: [episodes, n, …].
        mask: [episodes, n].
        mapped: maps a function over a leading axis, as `torch.vmap` does.
    """

    def judged(prediction: Tensor | Distribution, target: Tensor) -> Judgement:
        return judge(task, prediction, target)

    by_seed = mapped(mapped(judged, in_dims=(0, 0)), in_dims=(0, None))
    counts = mask.sum(1)
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)  # those that are there first
    rows, found = list[Tensor](), list[Judgement]()
    with torch.no_grad():
        for count in counts.unique().tolist():
            of_count = (counts == count).nonzero()[:, 0]
            at = order[of_count, :count]
            there = trees.tree_map(lambda leaf: leaf[:, of_count[:, None], at], prediction)  # noqa: B023
            found.append(by_seed(there, target[of_count[:, None], at]))
            rows.append(of_count)
    back = torch.cat(rows).argsort()
    return trees.tree_map(lambda *leaves: torch.cat(leaves, 1)[:, back], *found)
