"""CSV: every scalar a line of scalars.csv, as it comes, and the test as test.csv; both in the run directory.

The files need no library; a spreadsheet, R or pandas reads them. The figures lie beside them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import mamlzoo
from mamlzoo_loggers import scalars

COLUMNS = scalars.Scalar._fields


@mamlzoo.hookimpl
def mamlzoo_run_started(directory: Path, step: int) -> None:
    # A run that goes on makes the meta-steps after its checkpoint again.
    _write(directory / "scalars.csv", COLUMNS, _until(directory / "scalars.csv", step) if step else [])


@mamlzoo.hookimpl
def mamlzoo_run_progressed(experiment: mamlzoo.Experiment, directory: Path, event: object) -> None:
    _append(directory, scalars.of_event(experiment, event))


@mamlzoo.hookimpl
def mamlzoo_run_ended(directory: Path, result: mamlzoo.Result | None) -> None:
    if result is not None:
        _append(directory, scalars.of_result(result))
        _write(directory / "test.csv", *scalars.test_table(result))


def _until(path: Path, step: int) -> list[list[str]]:
    """The lines of meta-steps up to this one; without one that a killed process wrote half of."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.reader(file) if len(line) == len(COLUMNS)][1:]
    at = COLUMNS.index("step")
    return [line for line in lines if int(line[at]) <= step and not line[0].endswith(scalars.TESTED)]


def _append(directory: Path, found: Iterable[scalars.Scalar]) -> None:
    text = scalars.as_csv(found)
    if text:
        with (directory / "scalars.csv").open("a", encoding="utf-8", newline="") as file:
            file.write(text)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a whole file: a reader never sees half of it."""
    temporary = path.with_suffix(".csv.part")
    temporary.write_text(scalars.as_csv([columns, *rows]), encoding="utf-8", newline="")
    temporary.replace(path)
