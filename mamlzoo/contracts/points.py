"""A user's own points, as a task reads them from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Points:
    """Points of one data set.

    Attributes:
        x: inputs [n, *input_shape].
        y: targets [n, targets], or class indices [n]; None where they are not known.
        columns: what stands for the inputs in predictions.csv, by the names of its columns, a text for each point;
            None: their numbers, as x, or x1, x2, …
        classes: names of the classes by their index; None: they are called by their index.
        remarks: what a reader of the predictions should know of the files, as how many rows were left out; each a line.
        targets: the names of the columns that targets have in files; None: y, or y1, y2, …
    """

    x: NDArray[np.float32]
    y: NDArray[Any] | None = None
    columns: Mapping[str, Sequence[str]] | None = None
    classes: Sequence[str] | None = None
    remarks: Sequence[str] = ()
    targets: Sequence[str] | None = None

    def class_name(self, index: int) -> str:
        """What a class is called.

        >>> points = Points(x=None, classes=["cat", "dog"])
        >>> points.class_name(1), points.class_name(2)
        ('dog', 'unnamed 2')
        """
        if self.classes is None:
            return str(index)
        return self.classes[index] if index < len(self.classes) else f"unnamed {index}"
