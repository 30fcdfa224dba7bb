"""A user's own points, read from a CSV file whose first line names the columns.

Inputs are the column `x`, or `x1`, `x2`, … where an input is several numbers, in row order; targets are `y`, or `y1`,
`y2`, … Counting may begin at 0, and the order of the columns is free. A class is given by its index, from 0.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamlzoo import tables
from mamlzoo.contracts import numbers_as_text
from mamlzoo.contracts.data import Spec
from mamlzoo.contracts.inputs import Input, described
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.contracts.points import Points
from mamlzoo.errors import UsageError

LARGEST = float(np.finfo(np.float32).max)
NAMED = 4
"""Up to so many columns of a kind are named one by one in an error."""


class _Line(NamedTuple):
    number: int
    cells: list[str]


class _Cell(NamedTuple):
    where: str
    text: str

    def error(self, reason: str) -> UsageError:
        return UsageError(f"{self.where}: {shown(self.text)} {reason}")


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
    header, rows = _header_and_rows(path, takes)
    x = _as_counted(input_names(spec), header.cells)
    y = _as_counted(target_names(spec), header.cells)
    if not targets and not set(y) & set(header.cells):
        y = []
    _check_header(f"{path}, line {header.number}", header.cells, [*x, *y], takes)
    _check_rows(path, header, rows)
    inputs = _numbers(path, header, rows, x).reshape(-1, *spec.input_shape)
    if not y:
        return Points(inputs)
    if spec.kind == "classification":
        cells = _cells(path, header, rows, y)
        return Points(inputs, np.array([_class_index(cell, spec.output_size) for cell in cells]))
    return Points(inputs, _numbers(path, header, rows, y))


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
    path = Path(path)
    takes = f"the columns are x, or x1, x2, …, and y{', or y1, y2, …' * (not labels)}"
    header, rows = _header_and_rows(path, takes)
    x, y = (_names_in(header.cells, stem) for stem in "xy")
    _check_header(f"{path}, line {header.number}", header.cells, [*x, *(y[:1] if labels else y)], takes)
    _check_rows(path, header, rows)
    inputs = _numbers(path, header, rows, x)
    if not labels:
        return Points(inputs, _numbers(path, header, rows, y))
    cells = _cells(path, header, rows, y)
    return Points(inputs, np.array([_label(cell) for cell in cells]))


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


def _header_and_rows(path: Path, takes: str) -> tuple[_Line, list[_Line]]:
    lines = _lines(path)
    if not lines:
        raise UsageError(f"{path} is empty; {takes}")
    return lines[0], lines[1:]


def _check_rows(path: Path, header: _Line, rows: Sequence[_Line]) -> None:
    if not rows:
        raise UsageError(f"{path} has a header and no points below it")
    for row in rows:
        if len(row.cells) != len(header.cells):
            found = tables.count(len(row.cells), "column")
            raise UsageError(f"{path}, line {row.number}: {found}, and the header has {len(header.cells)}")


def _numbers(path: Path, header: _Line, rows: Sequence[_Line], names: Sequence[str]) -> NDArray[np.float32]:
    """The numbers in these columns, [rows, columns]."""
    at = _positions(header, names)
    try:
        values = np.array([_plainly([row.cells[i] for i in at]) for row in rows])
    except ValueError:
        values = np.array(np.nan)
    if not (np.abs(values) <= LARGEST).all():  # again, cell by cell, to say where
        values = np.array([_number(cell) for cell in _cells(path, header, rows, names)]).reshape(-1, len(at))
    return values.astype(np.float32)


def _positions(header: _Line, names: Sequence[str]) -> list[int]:
    """Where these columns are; there may be many."""
    position = {name: i for i, name in enumerate(header.cells)}
    return [position[name] for name in names]


def _plainly(cells: Sequence[str]) -> list[float]:
    """Many numbers at once.

    Raises:
        ValueError: one is none, or may be one that only Python takes for a number (`numbers_as_text`).
    """
    joined = "".join(cells)
    if "_" in joined or not joined.isascii():
        raise ValueError
    return list(map(float, cells))


def _cells(path: Path, header: _Line, rows: Sequence[_Line], names: Sequence[str]) -> Iterator[_Cell]:
    """The cells in these columns, row by row."""
    at = _positions(header, names)
    for row in rows:
        for i in at:
            yield _Cell(f"{path}, line {row.number}, column '{header.cells[i]}'", row.cells[i])


def _lines(path: Path) -> list[_Line]:
    """The lines that are not blank, each cell without spaces around it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}, line {line}: this is not UTF-8 text; save it as CSV in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    lines = []
    try:
        for cells in reader:
            lines.append(_Line(reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: this is not CSV: {error}") from None
    return [line for line in lines if line.cells not in ([], [""])]


def _check_header(where: str, header: Sequence[str], names: Sequence[str], takes: str) -> None:
    if all(numbers_as_text.real(name) is not None for name in header):
        raise UsageError(f"{where}: there is no header; the first line names the columns, and {takes}")
    separator = next((mark for mark in ";\t" if len(header) == 1 and mark in header[0]), None)
    if separator:
        raise UsageError(f"{where}: columns are separated by commas, not by {separator!r}")
    wanted, times = set(names), Counter(header)
    for name in names:
        if name not in times:
            raise UsageError(f"{where}: there is no column '{name}'; {takes}")
    for name, count in times.items():
        if name not in wanted:
            raise UsageError(f"{where}: column {shown(name)} is unknown; {takes}")
        if count > 1:
            raise UsageError(f"{where}: column '{name}' stands there {count} times; {takes}")


def _number(cell: _Cell) -> float:
    value = numbers_as_text.real(cell.text)
    if value is None:
        raise cell.error("is not a number")
    if not abs(value) <= LARGEST:
        raise cell.error("is not a finite number in float32")
    return value


def _class_index(cell: _Cell, classes: int) -> int:
    value = numbers_as_text.real(cell.text)
    if value is None:
        raise cell.error(
            f"is not a class index from 0 to {classes - 1}; number the classes, in any order if the task draws it anew "
            "for each episode, as csv does"
        )
    if not (value.is_integer() and 0 <= value < classes):
        raise cell.error(f"is not a class index from 0 to {classes - 1}")
    return int(value)


def _label(cell: _Cell) -> str:
    if not cell.text:
        raise cell.error("is no class label")
    return cell.text


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) <= NAMED else [*names[:2], "…", names[-1]])
