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
        classes: names of the classes by their index; None, and of a class beyond them: the index.
    """

    x: NDArray[np.float32]
    y: NDArray[Any] | None = None
    columns: Mapping[str, Sequence[str]] | None = None
    classes: Sequence[str] | None = None

    def class_name(self, index: int) -> str:
        """What a class is called.

        >>> points = Points(x=None, classes=["cat", "dog"])
        >>> points.class_name(1), points.class_name(2)
        ('dog', '2')
        """
        return self.classes[index] if self.classes is not None and index < len(self.classes) else str(index)
