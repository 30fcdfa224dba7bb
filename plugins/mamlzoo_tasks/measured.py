"""Curves along an axis that people measure in a unit of their own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from mamlzoo import Points, UsageError
from mamlzoo_tasks.regression import RegressionTask


class MeasuredTask(RegressionTask):
    """A regression on one input that `mamlzoo adapt` takes and shows in another unit than the network's.

    Targets are in the task's own unit everywhere.
    """

    along: ClassVar[str]
    """What people measure, and in which unit, as 'years'."""

    @abstractmethod
    def to_input(self, measured: Tensor) -> Tensor:
        """The network's inputs, of measured numbers in float64; nan or infinite for those that cannot be."""

    @abstractmethod
    def to_measured(self, x: Tensor) -> Tensor:
        """The way back."""

    def read(self, path: Path, *, support: Points | None = None) -> Points:
        points = super().read(path, support=support)
        x = self.to_input(torch.as_tensor(points.x).double())
        wrong = points.x[~x.isfinite().numpy()]
        if wrong.size:
            raise UsageError(f"{path}: x must be {self.along}, not {wrong[0]:g}")
        return replace(points, x=x.float().numpy())

    def in_units(self, points: Points) -> Points:
        return replace(points, x=self.to_measured(torch.as_tensor(points.x).double()).float().numpy())
