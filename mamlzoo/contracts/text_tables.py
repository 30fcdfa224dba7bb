"""A table of a user's own, read from a file: named columns of texts, each with its place for a message.

CSV files say themselves how columns are separated and what stands before decimals. Parquet and Arrow files become texts
too, so that whoever reads a table reads all of them.
"""

from __future__ import annotations

import csv
import functools
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mamlzoo import tables
from mamlzoo.contracts import arrow_files, numbers_as_text
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.errors import UsageError, did_you_mean

LARGEST = float(np.finfo(np.float32).max)
SEPARATORS = ",;\t"
LOOKED_AT = 20
"""Lines by which separators are told apart, where the header has several."""


@dataclass(frozen=True)
class TextTable:
    """Rows of texts under named columns, as a file has them.

    Attributes:
        path: the file.
        header: the names of the columns.
        rows: the cells of each row, as many as there are columns, without spaces around them.
        at, header_at: which of the file's lines each row and the header is.
        unit: what they are counted in, 'line' or 'row'.
        separator: what stands between columns.
    """

    path: Path
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    at: Sequence[int]
    header_at: int = 1
    unit: str = "line"
    separator: str = ","

    def __len__(self) -> int:
        return len(self.rows)

    @functools.cached_property
    def _position(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self.header)}

    def column(self, name: str) -> list[str]:
        """The cells of a column, [rows]."""
        at = self._position[name]
        return [cells[at] for cells in self.rows]

    def only(self, rows: Sequence[int]) -> TextTable:
        """Some of the rows, by their position."""
        return replace(self, rows=[self.rows[row] for row in rows], at=[self.at[row] for row in rows])

    @property
    def where_header(self) -> str:
        """The place of the header, for a message."""
        return f"{self.path}, {self.unit} {self.header_at}"

    def error(self, row: int, name: str, reason: str) -> UsageError:
        """What is wrong with a cell, with its place."""
        text = self.rows[row][self._position[name]]
        return UsageError(f"{self.path}, {self.unit} {self.at[row]}, column '{name}': {shown(text)} {reason}")

    def check(self, names: Iterable[str], takes: str = "") -> None:
        """Refuse a file that has no header, lacks one of these columns, has one of them twice, or has no rows.

        Args:
            takes: which columns are taken, in words; by default a column that is not there gets the nearest names.

        Raises:
            UsageError: it is so.
        """
        if not self.header:
            raise UsageError(f"{self.path} is empty{takes and f'; {takes}'}")
        if all(numbers_as_text.real(name) is not None for name in self.header):
            named = f"the first line names the columns{takes and f', and {takes}'}"
            raise UsageError(f"{self.where_header}: there is no header; {named}")
        times = Counter(self.header)
        for name in names:
            if not times[name]:
                hint = takes or did_you_mean(name, self.header)
                raise UsageError(f"{self.where_header}: there is no column {shown(name)}; {hint}")
            if times[name] > 1:
                hint = takes or "give each a name of its own"
                raise UsageError(f"{self.where_header}: column {shown(name)} stands there {times[name]} times; {hint}")
        if not self.rows:
            raise UsageError(f"{self.path} has a header and no points below it")

    def numbers(self, name: str, decimal: str = ".") -> list[float]:
        """The numbers of a column, [rows].

        Args:
            decimal: what stands before decimals, '.' or ','.

        Raises:
            UsageError: one is no number, or not finite in float32; with its place.
        """
        texts = self.column(name)
        if decimal == ",":
            texts = [text.replace(",", ".") for text in texts]
        try:
            values = _plainly(texts)
        except ValueError:
            values = [np.nan]
        if (np.abs(values) <= LARGEST).all():
            return values
        return [self._number(row, name, text) for row, text in enumerate(texts)]  # again, to say where

    def _number(self, row: int, name: str, text: str) -> float:
        value = numbers_as_text.real(text)
        if value is None:
            raise self.error(row, name, "is not a number")
        if not abs(value) <= LARGEST:
            raise self.error(row, name, "is not a finite number in float32")
        return value


def read_table(path: str | Path, encoding: str | None = None) -> TextTable:
    """A table from a file: CSV whose first line names the columns, also as .csv.gz; or .parquet, .feather, .arrow.

    Columns of CSV are separated by commas, semicolons or tabs. Rows without any text are left out.

    Args:
        encoding: of CSV, by a name that Python has, as 'cp1252'; None: UTF-8, where a user cannot say another.

    Raises:
        LookupError: there is no such encoding.
        UsageError: it cannot be read, or is no such file; one line with its place.
    """
    path = Path(path)
    if path.suffix.lower() in arrow_files.SUFFIXES:
        header, rows = arrow_files.read(path)
        return TextTable(path, header, rows, range(1, len(rows) + 1), unit="row", separator="")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, and a CSV file is wanted, whose first line names the columns")
    text = _text(path, encoding)
    separator = _separator(path, text)
    (at, header), *below = _lines(path, text, separator) or [(1, [])]
    for line, cells in below:
        if len(cells) != len(header):
            found = tables.count(len(cells), "column")
            raise UsageError(f"{path}, line {line}: {found}, and the header has {len(header)}")
    return TextTable(path, header, [cells for _, cells in below], [line for line, _ in below], at, separator=separator)


def decimal_mark(several: Iterable[TextTable], names: Iterable[str]) -> str:
    """What stands before decimals in columns of some tables, '.' or ','.

    Raises:
        UsageError: it is both, or numbers as 1,234 may be either of two.
    """
    several, names = list(several), list(names)
    comma = next(_numbers_with(",", several, names), None)
    if comma is None:
        return "."
    point = next(_numbers_with(".", several, names), None)
    if point is not None:
        raise UsageError(f"{comma} has a decimal comma, and {point} a decimal point; write all numbers alike")
    if all(found.may_be_thousands for found in _numbers_with(",", several, names)):
        raise UsageError(f"{comma} may be with decimals or in thousands; write numbers with a decimal point")
    return ","


@dataclass(frozen=True)
class _Marked:
    """A number with a mark in it, and its place."""

    table: TextTable
    row: int
    name: str
    text: str

    def __str__(self) -> str:
        return str(self.table.error(self.row, self.name, "")).rstrip()

    @property
    def may_be_thousands(self) -> bool:
        """Whether a comma may have been meant so: columns that semicolons separate have decimal commas."""
        return self.table.separator != ";" and bool(re.fullmatch("[+-]?[1-9][0-9]{0,2},[0-9]{3}", self.text))


def _numbers_with(mark: str, several: Iterable[TextTable], names: Sequence[str]) -> Iterator[_Marked]:
    for table in several:
        for name in names:
            texts = table.column(name)
            if mark in "".join(texts):
                for row, text in enumerate(texts):
                    if text.count(mark) == 1 and numbers_as_text.real(text.replace(mark, ".")) is not None:
                        yield _Marked(table, row, name, text)


def _plainly(texts: Sequence[str]) -> list[float]:
    """Many numbers at once.

    Raises:
        ValueError: one is none, or may be one that only Python takes for a number (`numbers_as_text`).
    """
    joined = "".join(texts)
    if "_" in joined or not joined.isascii():
        raise ValueError
    return list(map(float, texts))


def _text(path: Path, encoding: str | None) -> str:
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path} cannot be read: {reason}") from error
    try:
        return data.decode("utf-8-sig" if encoding in (None, "utf-8") else encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = "UTF-8" if encoding in (None, "utf-8") else encoding
        others = "" if encoding is None else ", or say its encoding, as cp1252 (of Windows in western Europe)"
        raise UsageError(f"{path}, line {line}: this is not {what} text; save it as CSV in UTF-8{others}") from None


def _separator(path: Path, text: str) -> str:
    """What separates the columns: what the header has of these; of several the one by which all lines agree."""
    beginning = [line for line in text.splitlines()[: 2 * LOOKED_AT] if line.strip()][:LOOKED_AT]
    there = [mark for mark in SEPARATORS if beginning and mark in beginning[0]]
    if len(there) < 2:
        return there[0] if there else ","
    fitting = [mark for mark in there if len({len(cells) for cells in csv.reader(beginning, delimiter=mark)}) == 1]
    if len(fitting) != 1:
        raise UsageError(
            f"{path}, line 1: columns may be separated by {tables.listed([repr(mark) for mark in fitting or there])}; "
            "put names that hold one of these in quotes"
        )
    return fitting[0]


def _lines(path: Path, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """The lines that are not blank, each with its number; cells without spaces around them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    lines = []
    try:
        for cells in reader:
            lines.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: this is not CSV: {error}") from None
    return [line for line in lines if any(line[1])]
