"""Parquet and Arrow files as texts, by `pyarrow`, which the extra `mamlzoo[parquet]` installs."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from mamlzoo.errors import UsageError, in_short

SUFFIXES = (".parquet", ".feather", ".arrow")


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the rows; what is missing is an empty text.

    Raises:
        UsageError: `pyarrow` is not installed, or the file is no such.
    """
    try:
        import pyarrow
        from pyarrow import feather, parquet
    except ImportError:
        raise UsageError(f"{path}: to read it takes pyarrow; `pip install 'mamlzoo[parquet]'` installs it") from None
    try:
        found = (parquet if path.suffix.lower() == ".parquet" else feather).read_table(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or in_short(error)}") from error
    except pyarrow.ArrowException as error:
        raise UsageError(f"{path} cannot be read: {in_short(error)}") from None
    columns = [list(map(_text, column.to_pylist())) for column in found.columns]
    return list(found.column_names), [list(cells) for cells in zip(*columns, strict=True)]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date | datetime) else str(value).strip()
