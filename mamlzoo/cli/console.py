"""What is printed: results on stdout; progress, logs and errors on stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal

import click
import rich.box
import rich.table
from rich.console import Console
from rich.markup import escape

from mamlzoo.cli.fitting import fitted
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
    """A table in colours; in several parts, one below the other, where it is wider than the terminal."""
    console = out()
    console.print(f"[bold]{escape(table.title)}[/bold]")
    for part, widths in fitted(table, console.width):
        drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for at, (column, width) in enumerate(zip(part.columns, widths, strict=True)):
            justify: Literal["left", "right"] = "left" if at in part.left else "right"
            drawn.add_column(escape(column), justify=justify, overflow="fold", width=width)
        for row in part.rows:
            drawn.add_row(*map(escape, row))
        console.print(drawn)
    for note in table.notes:
        console.print(escape(note))


def print_json(document: Any) -> None:
    """One JSON document and nothing else."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(document, indent=2, ensure_ascii=not utf8, allow_nan=False))


def say(text: str) -> None:
    """A line on stderr."""
    err().print(text, markup=False)


def say_where(path: Path) -> None:
    """Where something was saved, on stderr, as short as it can be said."""
    path = path.absolute()
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    say_to_copy(f"saved: {shown}")


def say_to_copy(text: str) -> None:
    """A line on stderr with a path or a command, which is copied as one line even where a terminal folds it."""
    err().print(text, markup=False, soft_wrap=True)
