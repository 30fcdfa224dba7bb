"""Data sets out of tables: each file is one, or each group of rows of a single file."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import TextTable, UsageError
from mamlzoo_tasks import csv_columns
from mamlzoo_tasks.csv_columns import Columns, Encoding, Missing

Key = Path | str
"""What tells data sets apart: their files, or the names of their groups."""


class DataSet(NamedTuple):
    """Rows that belong together.

    Attributes:
        title: what a message calls it.
        x: inputs [rows, inputs], float64; of a date the days since the first one of the column.
        y: targets [rows, targets], float64; of class labels [rows, 0].
        labels: of each row its class label; empty where the target is numbers.
    """

    title: str
    x: Tensor
    y: Tensor
    labels: Sequence[str]

    def classes(self, needed: int) -> list[list[int]]:
        """The rows of each class that has as many as are needed; of numbers all rows."""
        if not self.labels:
            return [list(range(len(self.x)))]
        by_label: dict[str, list[int]] = {}
        for row, label in enumerate(self.labels):
            by_label.setdefault(label, []).append(row)
        return [rows for rows in by_label.values() if len(rows) >= needed]

    def content(self, needed: int) -> str:
        """The same for data sets of the same rows, in whatever order, and under whatever names their classes have."""
        groups, both = [], torch.cat([self.x, self.y], 1)
        for rows in self.classes(needed):
            different, counts = both[torch.tensor(rows, dtype=torch.long)].unique(dim=0, return_counts=True)  # in order
            groups.append(hashlib.sha256(different.numpy().tobytes() + counts.numpy().tobytes()).hexdigest())
        return " ".join(sorted(groups))


class Found(NamedTuple):
    """What tables hold.

    Attributes:
        columns: which are used.
        dates: those of the inputs that are dates.
        sets: the data sets, by file or by the name of their group.
        rows, dropped: how many rows there are in all, and how many of them lack a value and were left out.
    """

    columns: Columns
    dates: tuple[str, ...]
    sets: dict[Key, DataSet]
    rows: int
    dropped: int


class Source(NamedTuple):
    """A file as it was at a time: once it has changed it is another."""

    path: Path
    modified: int
    size: int

    @classmethod
    def of(cls, path: Path) -> Source:
        """A file as it is now.

        Raises:
            UsageError: it cannot be read.
        """
        try:
            status = path.stat()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
        return cls(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4)
def read(sources: tuple[Source, ...], wanted: Columns, missing: Missing, encoding: Encoding) -> Found:
    """The data sets in some files, which are read once for each content that they have had.

    Args:
        wanted: which columns to use. With a group there is one file, whose rows are divided by it.
        missing: whether a row that lacks a value is refused, or left out.
        encoding: of files that are CSV.

    Raises:
        UsageError: one line that names the file, its line and column, and what would be right.
    """
    tables = [mamlzoo.read_table(source.path, encoding) for source in sources]
    columns = _columns(tables, wanted)
    kept = _complete(tables, columns, missing)
    dates = tuple(name for name in columns.inputs if csv_columns.is_dates(kept, name))
    of_numbers = [name for name in columns.inputs if name not in dates] + list(_numeric_targets(columns))
    decimal = mamlzoo.decimal_mark(kept, of_numbers)
    sets: dict[Key, DataSet] = {}
    for table in kept:
        x = columns_of(table, columns.inputs, dates, decimal)
        y = _targets(table, _numeric_targets(columns), decimal)
        labels = table.column(columns.targets[0]) if columns.labels else []
        for key, rows in _groups(table, columns.group).items():
            title = f"group {key!r} of {table.path}" if columns.group else str(table.path)
            chosen = torch.tensor(rows, dtype=torch.long)
            sets[key] = DataSet(
                title, elapsed(x[chosen], columns, dates), y[chosen], [labels[row] for row in rows if labels]
            )
    count = sum(map(len, tables))
    return Found(columns, dates, sets, count, count - sum(map(len, kept)))


def columns_of(table: TextTable, names: Sequence[str], dates: Sequence[str], decimal: str) -> Tensor:
    """The numbers in some columns, [rows, columns], float64; of dates the days since 1970.

    Raises:
        UsageError: one is no number, or no date; with its place.
    """
    values = [
        csv_columns.days(table, name) if name in dates else csv_columns.numbers(table, name, decimal) for name in names
    ]
    return torch.tensor(values, dtype=torch.float64).reshape(len(names), len(table)).T


def elapsed(x: Tensor, columns: Columns, dates: Sequence[str], support: Tensor | None = None) -> Tensor:
    """Inputs of a data set whose dates are days since its first one, or since that of the support set."""
    if not len(x) or not dates:
        return x
    first = (x if support is None else support).amin(0)
    is_date = torch.tensor([name in dates for name in columns.inputs])
    return torch.where(is_date, x - first, x)


def _columns(tables: Sequence[TextTable], wanted: Columns) -> Columns:
    """Those that are used, which all tables must have."""
    found = [wanted.of(table) for table in tables]
    for table, columns in zip(tables, found, strict=True):
        if columns != found[0]:
            listed = [", ".join((*each.inputs, *each.targets)) for each in (columns, found[0])]
            raise UsageError(
                f"{table.path} has the columns {listed[0]}, and {tables[0].path} {listed[1]}; all files must have the "
                "same"
            )
    return found[0]


def _complete(tables: Sequence[TextTable], columns: Columns, missing: Missing) -> list[TextTable]:
    """The tables without the rows that lack a value."""
    labels = columns.targets if columns.labels else ()
    names = [*columns.inputs, *columns.targets, *filter(None, [columns.group])]
    texts = [*labels, *filter(None, [columns.group])]
    csv_columns.check_known(tables, names, texts)
    kept = []
    for table in tables:
        gaps = csv_columns.gaps(table, names, texts)
        csv_columns.check_missing(table, gaps, missing)
        kept.append(table.only([row for row in range(len(table)) if row not in gaps]) if gaps else table)
    return kept


def _groups(table: TextTable, group: str) -> dict[Key, list[int]]:
    """The rows of each data set in a table."""
    if not group:
        return {table.path: list(range(len(table)))}
    found: dict[Key, list[int]] = {}
    for row, name in enumerate(table.column(group)):
        found.setdefault(name, []).append(row)
    return found


def _targets(table: TextTable, names: Sequence[str], decimal: str) -> Tensor:
    try:
        return columns_of(table, names, (), decimal)
    except UsageError as error:
        classes = "say how many classes an episode has, as in --task.ways 3"
        raise UsageError(f"{error}; if it is a class label, {classes}") from None


def _numeric_targets(columns: Columns) -> tuple[str, ...]:
    return () if columns.labels else columns.targets
