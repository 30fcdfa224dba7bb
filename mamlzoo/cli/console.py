"""What is printed: results on stdout; progress, logs and errors on stderr."""

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
    """Results; wrapped at words in a terminal, and nowhere else."""
    console = Console(highlight=False, emoji=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, emoji=False, width=WIDE, no_color=True, soft_wrap=True)


def err(quiet: bool = False) -> Console:
    """Progress, logs and errors; wrapped as results are."""
    console = Console(stderr=True, highlight=False, emoji=False, quiet=quiet)
    console.soft_wrap = not console.is_terminal
    return console


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
    say_to_copy(f"saved: {shown}")


def say_to_copy(text: str) -> None:
    """A line on stderr with a path or a command, which is copied as one line even where a terminal folds it."""
    err().print(text, markup=False, soft_wrap=True)


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
