"""What a network that was trained on tables must know of them when they are gone: columns, dates and scales."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mamlzoo import UsageError


class DataFacts(NamedTuple):
    """Facts of the data that a task was made of.

    Attributes:
        inputs, targets: the names of the columns.
        dates: those of the inputs that are dates.
        scales: by the name of a column the mean and the standard deviation of its training rows; empty where columns
            are used as they are.
        valid, test: how many data sets there are to validate and to test on.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    dates: tuple[str, ...]
    scales: Mapping[str, tuple[float, float]]
    valid: int
    test: int

    @property
    def dates_of_inputs(self) -> list[bool]:
        """Of each input whether it is a date."""
        return [name in self.dates for name in self.inputs]

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> DataFacts:
        """From what a run directory says.

        Raises:
            UsageError: no task wrote that.
        """
        try:
            inputs, targets, dates = (tuple(map(str, saved[name])) for name in ("inputs", "targets", "dates"))
            scales = {str(name): (float(mean), float(sd)) for name, (mean, sd) in saved["scales"].items()}
            found = cls(inputs, targets, dates, scales, int(saved["valid"]), int(saved["test"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"the run directory is damaged: what it says of the data has another form ({error!r})"
            ) from None
        if not all(math.isfinite(mean) and math.isfinite(sd) and sd > 0 for mean, sd in scales.values()):
            raise UsageError("the run directory is damaged: a scale that it gives of the data is not possible")
        return found

    def scaled(self, values: Tensor, names: Sequence[str]) -> Tensor:
        """The columns of these names, [rows, columns], as a network has them."""
        mean, sd = self._scales(names)
        return values.sub(mean).div(sd)

    def in_units(self, values: Tensor, names: Sequence[str]) -> Tensor:
        """The inverse: [rows, columns] in the units of the data, float64."""
        mean, sd = self._scales(names)
        return values.double().mul(sd).add(mean)

    def _scales(self, names: Sequence[str]) -> Tensor:
        """Mean and standard deviation, [2, columns]; 0 and 1 of a column that is used as it is."""
        return torch.tensor([self.scales.get(name, (0.0, 1.0)) for name in names], dtype=torch.float64).T


def scales_of(values: Tensor, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of each column, of values [rows, columns]."""
    means, sds = values.mean(0).tolist(), values.std(0, correction=0).tolist()
    return {name: (mean, sd) for name, mean, sd in zip(names, means, sds, strict=True)}
