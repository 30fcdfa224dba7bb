"""A user's own points, read from a CSV file whose first line names the columns.

Inputs are the column `x`, or `x1`, `x2`, … where an input is several numbers, in row order; targets are `y`, or `y1`,
`y2`, … Counting may begin at 0, and the order of the columns is free. A class is given by its index, from 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mamlzoo.contracts import numbers_as_text
from mamlzoo.contracts.data import Spec
from mamlzoo.contracts.inputs import Input, described
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.contracts.points import Points
from mamlzoo.contracts.text_tables import TextTable, decimal_mark, read_table
from mamlzoo.errors import UsageError

NAMED = 4
"""Up to so many columns of a kind are named one by one in an error."""


def read(path: Path, name: str, spec: Spec, *, targets: bool) -> Points:
    """The points in a file, for a task.

    Args:
        name, spec: the task's.
        targets: whether there must be targets; if not, they are read where there are any.

    Raises:
        UsageError: naming the file, its line and column, and what would be right.
    """
    if not isinstance(spec.structure, Input):
        raise UsageError(
            f"task '{name}' takes {described(spec.structure)}, which no CSV file holds; Result.adapt takes them"
        )
    takes = f"task '{name}' takes the columns {_listed(input_names(spec))}, {_listed(target_names(spec))}"
    table = read_table(path)
    x, y = (_as_counted(names(spec), table.header) for names in (input_names, target_names))
    if not targets and not set(y) & set(table.header):
        y = []
    _check(table, [*x, *y], takes)
    inputs = _numbers(table, x).reshape(-1, *spec.input_shape)
    if not y:
        return Points(inputs)
    if spec.kind == "classification":
        return Points(inputs, np.array(_class_indices(table, y[0], spec.output_size)))
    return Points(inputs, _numbers(table, y))


def read_points(path: str | Path, *, labels: bool = False) -> Points:
    """The points in a file that says itself how many numbers an input and a target are.

    Args:
        path: a CSV file whose first line names the columns: `x`, or `x1`, `x2`, …, and `y`, or `y1`, `y2`, …
        labels: whether the target is a single column of class labels, any text.

    Returns:
        x [n, inputs], and y [n, targets]; or y [n] of texts, where they are labels.

    Raises:
        UsageError: naming the file, its line and column, and what would be right.
    """
    takes = f"the columns are x, or x1, x2, …, and y{', or y1, y2, …' * (not labels)}"
    table = read_table(path)
    x, y = (_names_in(table.header, stem) for stem in "xy")
    _check(table, [*x, *(y[:1] if labels else y)], takes)
    inputs = _numbers(table, x)
    if not labels:
        return Points(inputs, _numbers(table, y))
    for row, text in enumerate(table.column(y[0])):
        if not text:
            raise table.error(row, y[0], "is no class label")
    return Points(inputs, np.array(table.column(y[0])))


def input_names(spec: Spec) -> list[str]:
    """The columns of an input."""
    return numbered("x", math.prod(spec.input_shape))


def target_names(spec: Spec) -> list[str]:
    """The columns of a target."""
    return numbered("y", math.prod(spec.target_shape))


def numbered(name: str, count: int, first: int = 1) -> list[str]:
    """Names of so many columns.

    >>> numbered("x", 1), numbered("x", 3)
    (['x'], ['x1', 'x2', 'x3'])
    """
    return [name] if count == 1 else [f"{name}{at}" for at in range(first, first + count)]


def _names_in(header: Sequence[str], stem: str) -> list[str]:
    """The columns that this header must have for as many as it has with that stem."""
    found = {name for name in header if re.fullmatch(rf"{stem}[0-9]*", name)}
    return _as_counted(numbered(stem, max(1, len(found))), header)


def _as_counted(names: list[str], header: Sequence[str]) -> list[str]:
    """The names as this header counts them: from 0, or a single one with a number behind it."""
    stem = names[0][0]
    if len(names) == 1:
        return [next((name for name in (stem, f"{stem}1", f"{stem}0") if name in header), stem)]
    return numbered(stem, len(names), 0) if f"{stem}0" in header else names


def _check(table: TextTable, names: Sequence[str], takes: str) -> None:
    """These columns must be there, and no others."""
    table.check(names, takes)
    for name in table.header:
        if name not in names:
            raise UsageError(f"{table.where_header}: column {shown(name)} is unknown; {takes}")


def _numbers(table: TextTable, names: Sequence[str]) -> NDArray[np.float32]:
    """The numbers in these columns, [rows, columns]."""
    decimal = decimal_mark([table], names)
    return np.array([table.numbers(name, decimal) for name in names]).T.astype(np.float32)


def _class_indices(table: TextTable, name: str, classes: int) -> list[int]:
    found = []
    for row, text in enumerate(table.column(name)):
        value, wanted = numbers_as_text.real(text), f"is not a class index from 0 to {classes - 1}"
        if value is None:
            number = "number the classes, in any order if the task draws it anew for each episode"
            raise table.error(row, name, f"{wanted}; {number}")
        if not (value.is_integer() and 0 <= value < classes):
            raise table.error(row, name, wanted)
        found.append(int(value))
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) <= NAMED else [*names[:2], "…", names[-1]])
