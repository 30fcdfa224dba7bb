"""Which class each support example is of, as algorithms that compare with classes use it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Spec


def require_classes(algorithm: mamlzoo.MetaAlgorithm, spec: Spec, what: str) -> None:
    """Refuse what is no classification.

    Args:
        what: what the algorithm does with classes, as "classifies by class means".

    Raises:
        UsageError: the task is another.
    """
    if spec.kind != "classification":
        raise mamlzoo.UsageError(
            f"algorithm '{algorithm.name}' {what}, and the task is {spec.kind}; choose a classification task"
        )


def members(batch: Batch, classes: int, dtype: torch.dtype) -> Tensor:
    """1 where an example is of a class, else 0, [n, classes]; padding is of none."""
    one_hot = functional.one_hot(batch.y, classes).to(dtype)
    return one_hot if batch.mask is None else one_hot.masked_fill(~batch.mask[:, None], 0)


def there_alone(rows: Tensor, batch: Batch) -> Tensor:
    """Rows [n, …] of a batch's examples with 0 for padding: infinity times a membership of 0 would be NaN."""
    return rows if batch.mask is None else rows.masked_fill(~batch.mask.reshape(-1, *[1] * (rows.ndim - 1)), 0)


def class_sums(rows: Tensor, batch: Batch, classes: int) -> tuple[Tensor, Tensor]:
    """Of each class the sum of its examples' rows [n, size], and how many there are: [classes, size], [classes]."""
    member = members(batch, classes, rows.dtype)
    return member.T @ there_alone(rows, batch), member.sum(0)


def class_means(rows: Tensor, batch: Batch, classes: int) -> tuple[Tensor, Tensor]:
    """Of each class the mean of its examples' rows, 0 where it has none, and whether it has any, 1 or 0."""
    sums, count = class_sums(rows, batch, classes)
    return sums / count.clamp(min=1)[:, None], count.clamp(max=1)


def of_present(logits: Tensor, present: Tensor) -> Tensor:
    """Logits [n, classes] with −∞ for classes that are not there: their probability is 0, and pulls at nothing."""
    # Not a distance of infinity, or a mean of no points, whose gradients are ∞ · 0.
    return logits.masked_fill(present == 0, -math.inf)
