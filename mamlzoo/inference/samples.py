"""Test episodes of a task as a gallery shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo.contracts.data import Batch
from mamlzoo.contracts.inputs import Input
from mamlzoo.contracts.plugins import HasGrid, Task
from mamlzoo.engine.episodes import TestSet
from mamlzoo.errors import UsageError
from mamlzoo.inference.fields import Field, field_of, grid_of, is_of_plane
from mamlzoo.inference.fits import CLASSES, GRID
from mamlzoo.inference.pictures import Pictures, pictures, shows

CLOUDS = 12
"""At most so many classification tasks are shown, each in axes of its own."""
ALBUMS = 6
"""At most so many tasks of images are shown."""
INSTEAD = "`mamlzoo plot adaptation RUN` draws what a run predicts on any task"


@dataclass(frozen=True)
class Curves:
    """Episodes as functions on one grid.

    Attributes:
        x: [n].
        y: [episodes, n].
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]


@dataclass(frozen=True)
class Scattered:
    """Episodes of functions of one number, each known at inputs of its own: support and query points together.

    Attributes:
        x, y: [episodes, n]
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]


@dataclass(frozen=True)
class Clouds:
    """Episodes of classifications of two numbers: support and query points together.

    Attributes:
        x: [episodes, n, 2].
        y: classes, [episodes, n].
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]


@dataclass(frozen=True)
class Albums:
    """Episodes of images: of classes, or of functions of the plane."""

    episodes: Sequence[Pictures | Field]


Samples = Curves | Scattered | Clouds | Albums


def of(task: Task, count: int, seed: int = 0) -> Samples:
    """The first `count` test episodes, or all where there are fewer.

    Raises:
        UsageError: no figure shows such a task.
    """
    spec = task.spec
    album = _album(task, count, seed)
    if album is not None:
        return album
    if spec.kind == "classification":
        if spec.structure != Input((2,)) or spec.output_size > CLASSES:
            raise UsageError(
                f"task '{task.name}' has inputs of shape {list(spec.input_shape)} and {spec.output_size} classes; a "
                f"gallery shows classes of 2 inputs or of images, {CLASSES} at most; {INSTEAD}"
            )
        return Clouds(*_points(task, min(count, CLOUDS), seed))
    if spec.structure != Input((1,)) or spec.target_shape != (1,):
        raise UsageError(
            f"task '{task.name}' has inputs of shape {list(spec.input_shape)} and {spec.target_shape[0]} outputs; a "
            f"gallery shows functions from one number to one number, and those of two on a grid; {INSTEAD}"
        )
    found = _on_one_grid(task, count, seed)
    if found is not None:
        return found
    x, y = _points(task, count, seed)
    return Scattered(x[..., 0], y[..., 0])


def number_of(samples: Samples) -> int:
    """How many episodes they are."""
    return len(samples.episodes if isinstance(samples, Albums) else samples.y)


def curves(task: Task, count: int, seed: int = 0) -> Curves:
    """The first `count` test episodes as curves on one grid.

    Raises:
        UsageError: the task has no such curves.
    """
    if task.spec.structure != Input((1,)) or task.spec.target_shape != (1,):
        raise UsageError(f"task '{task.name}' is not from one number to one number, so it has no curves to draw")
    found = _on_one_grid(task, count, seed)
    if found is None:
        raise UsageError(f"task '{task.name}' has no common grid of test inputs, so there is no mean of its curves")
    return found


def _album(task: Task, count: int, seed: int) -> Albums | None:
    """A few as images; None if they are none."""
    if not shows(task.spec) and not is_of_plane(task.spec):
        return None
    tests = TestSet(task, min(count, ALBUMS), seed, torch.device("cpu"))
    episodes = {f"task {at}": tests.episode(at) for at in range(min(tests.size, ALBUMS))}
    if shows(task.spec):
        return Albums([pictures(title, episode) for title, episode in episodes.items()])
    grids = [grid_of(task.spec, episode.query) for episode in episodes.values()]
    fields = [field_of(*of, grid) for of, grid in zip(episodes.items(), grids, strict=True) if grid is not None]
    return Albums(fields) if fields else None


def _on_one_grid(task: Task, count: int, seed: int) -> Curves | None:
    """As finely as the task can be asked; None if the episodes' query inputs differ."""
    dense = task.on_grid(GRID) if isinstance(task, HasGrid) else task
    query = [block.query for block in TestSet(dense, count, seed, torch.device("cpu")).blocks()]
    x, y = torch.cat([batch.x[..., 0] for batch in query]), torch.cat([batch.y[..., 0] for batch in query])
    if not torch.equal(x, x[:1].expand_as(x)) or x.shape[1] < 2:
        return None
    order = x[0].argsort()
    return Curves(x[0, order].numpy(), y[:, order].numpy())


def _points(task: Task, count: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Support and query points together: inputs [episodes, n, *input_shape], targets beside them."""
    blocks = list(TestSet(task, count, seed, torch.device("cpu")).blocks())
    x = torch.cat([torch.cat([_drawn(block.support), _drawn(block.query)], 1) for block in blocks])
    y = torch.cat([torch.cat([block.support.y, block.query.y], 1) for block in blocks])
    return x.numpy(), y.numpy()


def _drawn(batch: Batch) -> Tensor:
    """Inputs [episodes, n, …], with NaN, which no figure draws, in the place of padding."""
    x: Tensor = batch.x
    if batch.mask is None:
        return x
    return x.masked_fill(~batch.mask.reshape(*batch.mask.shape, *[1] * (x.ndim - 2)), torch.nan)
