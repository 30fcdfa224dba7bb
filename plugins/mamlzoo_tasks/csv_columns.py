"""Which columns of tables are inputs and targets, and their cells as numbers: also dates, and what is missing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from mamlzoo import TextTable, UsageError

Missing = Literal["refuse", "drop"]
"""What is done with rows that lack a value."""
Encoding = Literal["utf-8", "cp1252", "latin-1"]
"""What CSV files are written in."""
MISSING = frozenset(["", "na", "n/a", "#n/a", "nan", "null", "none", "-"])
"""Texts, in small letters, that stand for a number that is not known."""
NO_LABEL = frozenset(["", "na", "n/a", "#n/a", "nan", "null"])
"""The same for a class label, which may well be 'none'."""
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
OTHER_DATE = re.compile(r"\d{1,4}([/.-])\d{1,2}\1\d{1,4}\b.*", re.ASCII)
AS_ISO = "write dates as ISO does, 2020-04-03 or 2020-04-03T14:30"
SECONDS_OF_A_DAY = 86_400


class Columns(NamedTuple):
    """The names of the columns that are used.

    Attributes:
        labels: whether the target is a class label.
        group: which column says whose a row is; "": none does.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    labels: bool = False
    group: str = ""

    def of(self, table: TextTable, *, targets: bool = True) -> Columns:
        """What a table has of these: where no names are given, x, x1, … and y, y1, …, and no other column.

        Args:
            targets: whether there must be targets; if not, they are taken where all of them are there.

        Raises:
            UsageError: a column that is needed is not there, or there is one of which nothing is said.
        """
        table.check([])
        found = self._replace(
            inputs=self.inputs or _counted(table.header, "x"), targets=self.targets or _counted(table.header, "y")
        )
        if not targets and not set(found.targets) <= set(table.header):
            found = found._replace(targets=())
        if not self.inputs and not self.targets:
            self._check_unnamed(table, found, targets)
        table.check([*found.inputs, *found.targets, *filter(None, [self.group])])
        if self.labels and len(found.targets) > 1:
            raise UsageError(f"{table.where_header}: a class label is one column, and {_named(found.targets)} are not")
        return found

    def _check_unnamed(self, table: TextTable, found: Columns, targets: bool) -> None:
        others = [name for name in table.header if name not in (*found.inputs, *found.targets, self.group)]
        lacking = [stem for stem, names in (("x", found.inputs), ("y", found.targets)) if not names]
        if not targets:
            lacking = [stem for stem in lacking if stem == "x"]
        if lacking:
            *first, last = (name for name in table.header if name != self.group)
            example = f"--task.inputs {shlex.quote(','.join(first) or 'NAME')} --task.targets {shlex.quote(last)}"
            raise UsageError(
                f"{table.where_header}: there is no column '{lacking[0]}'; there are {_named(table.header)}: say which "
                f"to use, as in {example}"
            )
        if others:
            given, wanted = shlex.quote(",".join(found.inputs)), shlex.quote(",".join(found.targets) or "y")
            example = f"--task.inputs {given} --task.targets {wanted}"
            raise UsageError(
                f"{table.where_header}: column '{others[0]}' is neither x nor y; say which to use, as in {example}"
            )


def gaps(table: TextTable, names: Iterable[str], labels: Iterable[str] = ()) -> dict[int, str]:
    """The rows that lack a value, each with the first column where it does.

    Args:
        labels: those of the columns that hold class labels.
    """
    found: dict[int, str] = {}
    for name in names:
        missing = NO_LABEL if name in labels else MISSING
        for row, text in enumerate(table.column(name)):
            if text.lower() in missing:
                found.setdefault(row, name)
    return found


def check_known(tables: Sequence[TextTable], names: Iterable[str], labels: Iterable[str] = ()) -> None:
    """Refuse columns that hold no value in any of the tables.

    Raises:
        UsageError: there is one.
    """
    for name in names:
        if all(len(gaps(table, [name], labels)) == len(table) for table in tables):
            where = f"{tables[0].path}" if len(tables) == 1 else f"in all {len(tables)} files"
            raise UsageError(f"{where}, column '{name}': every value is missing")


def check_missing(table: TextTable, gaps: Mapping[int, str], missing: Missing) -> None:
    """Refuse rows that lack a value, unless they are to be dropped.

    Raises:
        UsageError: there are such.
    """
    if gaps and missing == "refuse":
        row = min(gaps)
        raise table.error(row, gaps[row], "is a missing value; --task.missing drop leaves such rows out")


def is_dates(tables: Iterable[TextTable], name: str) -> bool:
    """Whether a column is one of dates: its first cell is."""
    first = next((table.column(name)[0] for table in tables if len(table)), "")
    return bool(ISO_DATE.fullmatch(first))


def days(table: TextTable, name: str) -> list[float]:
    """Dates and times of a column as days since 1970.

    Raises:
        UsageError: one is no ISO date, or some have a time zone and others none.
    """
    found, zoned = [], None
    for row, text in enumerate(table.column(name)):
        try:
            value = datetime.fromisoformat(text) if ISO_DATE.fullmatch(text) else None
        except ValueError:  # as the 30th of February
            value = None
        if value is None:
            raise table.error(row, name, f"is no date, as others in the column are; {AS_ISO}")
        zoned = value.tzinfo is not None if zoned is None else zoned
        if zoned != (value.tzinfo is not None):
            raise table.error(row, name, f"has {'no' if zoned else 'a'} time zone, unlike those above; write all alike")
        found.append((value if zoned else value.replace(tzinfo=UTC)).timestamp() / SECONDS_OF_A_DAY)
    return found


def numbers(table: TextTable, name: str, decimal: str) -> list[float]:
    """The numbers of a column; whoever wrote dates in another way is told how.

    Raises:
        UsageError: one is no number.
    """
    try:
        return table.numbers(name, decimal)
    except UsageError:
        for row, text in enumerate(table.column(name)):
            if OTHER_DATE.fullmatch(text) or ISO_DATE.fullmatch(text):
                raise table.error(row, name, f"is not a number; {AS_ISO}, in all rows of an input") from None
        raise


def _counted(header: Sequence[str], stem: str) -> tuple[str, ...]:
    """The columns called so, with and without a number behind it, by their numbers."""
    found = {name for name in header if re.fullmatch(rf"{stem}[0-9]*", name)}
    return tuple(sorted(found, key=lambda name: int(name[1:] or 0)))


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
