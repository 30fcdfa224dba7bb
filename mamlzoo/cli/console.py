"""What is printed: results on stdout, progress and logs on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import rich.box
import rich.table
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from mamlzoo.tables import Table

WIDE = 1000
"""Columns that output has where no terminal limits it."""


def out() -> Console:
    """Results."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, width=WIDE, no_color=True, soft_wrap=True)


def err(quiet: bool = False) -> Console:
    """Progress and logs."""
    return Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)


def print_table(table: Table) -> None:
    """A table in colours."""
    console = out()
    drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD, header_style="bold", title_justify="left", pad_edge=False)
    for at, column in enumerate(table.columns):
        drawn.add_column(escape(column), justify="left" if at in table.left else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(escape, row))
    console.print(f"[bold]{escape(table.title)}[/bold]")
    console.print(drawn)
    for note in table.notes:
        console.print(escape(note))


def print_json(document: Any) -> None:
    """One JSON document and nothing else."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(document, indent=2, ensure_ascii=not utf8, allow_nan=False))


def say_where(path: Path) -> None:
    """Where something was saved, on stderr, as short as it can be said."""
    path = path.absolute()
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    err().print(f"saved: {escape(str(shown))}")


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    """A bar on stderr; none where stderr is no terminal."""
    console = err()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[info]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        disable=quiet or not console.is_terminal,
        transient=True,
        expand=True,
    ) as bar:
        yield bar
