"""What is printed: results on stdout; progress, logs and errors on stderr.

Names, docstrings, errors and file names are strangers' texts. What these consoles print shows them as
they stand: no markup is read, and no letter that a terminal would obey goes out.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click
import rich.box
import rich.table
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from mamlzoo.cli.table_width import fitted
from mamlzoo.tables import Table, plain

CONTROLS_IN_JSON = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What a terminal may obey and JSON need not escape."""
WIDE = 1000
"""Columns that output has where no terminal limits it."""


class _Console(Console):
    """Shows texts as they stand (`plain`); its own colours and its own cursor alone are controls."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(highlight=False, emoji=False, markup=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        return super().render_str(plain(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def out() -> Console:
    """Results; wrapped at words in a terminal, and nowhere else."""
    console = _Console()
    return console if console.is_terminal else _Console(width=WIDE, no_color=True, soft_wrap=True)


def err(quiet: bool = False) -> Console:
    """Progress, logs and errors; wrapped as results are."""
    console = _Console(stderr=True, quiet=quiet)
    console.soft_wrap = not console.is_terminal
    return console


def print_table(table: Table) -> None:
    """A table in colours; in several parts, one below the other, where it is wider than the terminal."""
    console = out()
    table = replace(
        table, columns=list(map(plain, table.columns)), rows=[[plain(cell) for cell in row] for row in table.rows]
    )  # before its widths are taken
    console.print(Text(table.title, style="bold"))
    for part, widths in fitted(table, console.width) if table.rows else ():
        drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for at, (column, width) in enumerate(zip(part.columns, widths, strict=True)):
            justify: Literal["left", "right"] = "left" if at in part.left else "right"
            drawn.add_column(column, justify=justify, overflow="fold", width=width)
        for row in part.rows:
            drawn.add_row(*row)
        console.print(drawn)
    for note in table.notes:
        console.print(note)


def print_json(document: Any) -> None:
    """One JSON document and nothing else."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(document, indent=2, ensure_ascii=not utf8, allow_nan=False)
    click.echo(CONTROLS_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def say(text: str) -> None:
    """A line on stderr."""
    err().print(text)


def say_where(path: Path) -> None:
    """Where something was saved, on stderr, as short as it can be said."""
    path = path.absolute()
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    say_to_copy(f"saved: {shown}")


def say_to_copy(text: str) -> None:
    """A line on stderr with a path or a command, which is copied as one line even where a terminal folds it."""
    err().print(text, soft_wrap=True)
