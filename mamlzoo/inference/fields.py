"""Functions of the plane that are judged on a grid, as figures show them: images of what is known and predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo import tables
from mamlzoo.contracts.data import Batch, Episode, Spec, without_padding
from mamlzoo.contracts.inputs import Input
from mamlzoo.contracts.readings import Reading

SHADES = (1, 3)
"""Numbers of a target that are a shade, or red, green and blue."""
LEVEL = 2 * NormalDist().cdf(1) - 1
"""How often a normal target is within one standard deviation."""
EVEN = 1e-3
"""By so much of their distance a grid's lines may be off."""


@dataclass(frozen=True)
class Field:
    """An episode of a function of the plane, as images [height, width, channels] with x₁ to the right and x₂ upwards.

    Attributes:
        given: the support set's targets, NaN where there is none.
        truth: the query set's targets.
        predictions: what is predicted after each number of steps, by what to call it; one where steps change nothing.
        spread: of the last prediction half of the 68% interval, which is a Gaussian's standard deviation; None where
            there is no such interval.
    """

    title: str
    given: NDArray[np.float32]
    truth: NDArray[np.float32]
    predictions: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    spread: NDArray[np.float32] | None = None


class Grid(NamedTuple):
    """Even lines of a plane: the values of x₁ from the left, and of x₂ from the top, each [n]."""

    right: Tensor
    down: Tensor

    def image(self, x: Tensor, values: Tensor) -> NDArray[np.float32]:
        """Values [n, channels] at x [n, 2] as an image, each at the nearest place, NaN elsewhere."""
        column, row = ((x[:, axis, None] - line).abs().argmin(1) for axis, line in enumerate(self))
        image = torch.full((len(self.down), len(self.right), values.shape[-1]), torch.nan)
        image[row, column] = values.float()
        found: NDArray[np.float32] = image.numpy()
        return found


def is_of_plane(spec: Spec) -> bool:
    """Whether a task's episodes are functions of two numbers whose values are shades or colours."""
    return spec.kind == "regression" and spec.structure == Input((2,)) and spec.target_shape[0] in SHADES


def grid_of(spec: Spec, query: Batch) -> Grid | None:
    """The grid that the query set of an episode fills, every leaf with a leading axis of 1; None: it is no image."""
    if not is_of_plane(spec):
        return None
    x = without_padding(query).x[0]
    right, down = x[:, 0].unique(), x[:, 1].unique().flip(0)
    fills = len(right) * len(down) == len(x) == len(x.unique(dim=0))
    return Grid(right, down) if fills and all(map(_is_even, (right, down))) else None


def _is_even(line: Tensor) -> bool:
    steps = line.diff().abs()
    return len(line) > 1 and bool(steps.max() - steps.min() <= EVEN * steps.max())


def field_of(title: str, episode: Episode, grid: Grid, readings: Mapping[int, Reading] | None = None) -> Field:
    """An episode, every leaf of which has a leading axis of 1.

    Args:
        readings: number of steps -> what is predicted of its query set.
    """
    support, query = map(without_padding, episode)
    given, truth = (grid.image(batch.x[0], batch.y[0]) for batch in (support, query))
    if not readings:
        return Field(title, given, truth)
    images = {step: grid.image(query.x[0], reading.points) for step, reading in readings.items()}
    last = readings[max(readings)].distribution
    first, *others = images.values()
    if others and all(np.array_equal(first, other, equal_nan=True) for other in others):
        predictions = {"predicted": first}
    else:
        predictions = {f"after {tables.count(step, 'step')}": image for step, image in images.items()}
    if last is None or not last.reaches(LEVEL):
        return Field(title, given, truth, predictions)
    low, high = last.interval(LEVEL)
    return Field(title, given, truth, predictions, grid.image(query.x[0], (high - low).cpu() / 2))
