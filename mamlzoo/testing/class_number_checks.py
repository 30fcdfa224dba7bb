"""Checks of how a task numbers the classes of an episode."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from mamlzoo import trees
from mamlzoo.contracts.data import Batch
from mamlzoo.contracts.plugins import Task
from mamlzoo.engine.episodes import derive_seed
from mamlzoo.errors import FOREIGN
from mamlzoo.testing.checks import check, require

BLOCKS, LENGTH = 64, 32
"""Episodes that are looked at: so many blocks of so many, or fewer where they are of many numbers."""
NUMBERS = 2**26
"""After so many numbers no further block is drawn."""
UNLIKELY = 7.0
"""Standard errors: a normal variable is farther off once in 4·10¹¹ times, and images have 10⁵ numbers."""


def _classifies(task: Task) -> bool:
    try:
        return task.spec.kind == "classification"
    except FOREIGN:  # which other checks tell
        return False


@check("task", concerns=_classifies)
def class_numbers_mean_nothing(task: Task) -> None:
    """Over training episodes, no class number has inputs of its own: classes are numbered anew in each episode.

    Draw the classes of an episode in random order, and do not sort them. Where a class means the same in every episode,
    as ill and healthy, say so in exempt_from.
    """
    centres = torch.cat(list(_blocks(task)))  # [episodes, classes, inputs]; NaN where an episode lacks a class
    there = ~centres.isnan()
    count = there.sum(0).clamp(min=2)
    mean = centres.nansum(0) / count
    variance = torch.where(there, centres - mean, 0.0).square().sum(0) / (count - 1)
    scale = centres[there].abs().mean() if there.any() else 1.0
    off = mean.abs() / ((variance / count).sqrt() + 1e-6 * scale)
    worst = int(off.max(1).values.argmax())
    require(
        not off.max() > UNLIKELY,
        f"over {len(centres)} episodes the inputs of class {worst} lie {float(off.max()):.3g} standard errors from the "
        "mean of all classes",
    )


def _blocks(task: Task) -> Iterator[Tensor]:
    drawn = 0
    for position in range(BLOCKS):
        generator = torch.Generator().manual_seed(derive_seed(0, "train", position))
        support = task.sample(LENGTH, split="train", generator=generator).support
        yield _centres(support, task.spec.output_size)
        drawn += sum(leaf.numel() for leaf in trees.leaves(support.x))
        if drawn > NUMBERS:
            return


def _centres(support: Batch, classes: int) -> Tensor:
    """Of each class in a block of episodes its mean input, less the mean of all: [episodes, classes, inputs]."""
    member = one_hot(support.y, classes).double()
    if support.mask is not None:
        member = member * support.mask[..., None]
    rows = torch.cat([leaf.reshape(*leaf.shape[:2], -1).double() for leaf in trees.leaves(support.x)], -1)
    centres: Tensor = (member.mT @ rows) / member.sum(1)[..., None]
    return centres - centres.nanmean(1, keepdim=True)
