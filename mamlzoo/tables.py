"""A table as a value: text in a terminal, HTML in a notebook, colours in the command line."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns, a title above and notes below.

    Attributes:
        left: which columns hold words and are aligned left; the others hold numbers.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    left: Sequence[int] = (0,)

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[at]) for line in lines) for at in range(len(self.columns))]

        def text(cells: Sequence[str]) -> str:
            aligned = [
                cell.ljust(width) if at in self.left else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            return "  ".join(aligned).rstrip()

        rule = "  ".join("-" * width for width in widths)
        return "\n".join([self.title, "", text(self.columns), rule, *map(text, self.rows), *self._below()])

    def _below(self) -> list[str]:
        return ["", *self.notes] if self.notes else []

    def html(self) -> str:
        """The table without its notes; cells that hold numbers have the class 'number'."""

        def row(tag: str, cells: Sequence[str]) -> str:
            kinds = ["" if at in self.left else ' class="number"' for at in range(len(cells))]
            texts = [f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)]
            return f"<tr>{''.join(texts)}</tr>"

        body = "".join(row("td", cells) for cells in self.rows)
        head = f"<caption>{html.escape(self.title)}</caption><thead>{row('th', self.columns)}</thead>"
        return f"<table>{head}<tbody>{body}</tbody></table>"

    def _repr_html_(self) -> str:
        return self.html() + "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)


def count(number: int, what: str) -> str:
    """As in '1 seed', '3 seeds'."""
    return f"{number} {what}{'s' * (number != 1)}"


def listed(words: Sequence[object]) -> str:
    """As in 'a, b and c'."""
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The second of all pairs by the first, in their order."""
    groups: dict[str, list[str]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def number(value: float, digits: int = 4) -> str:
    """A number for people: `digits` significant ones, never cut before the decimal point; a dash for NaN."""
    if value != value:
        return "–"
    if value in (float("inf"), float("-inf")):
        return "diverged" if value > 0 else "-inf"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude >= 6 or magnitude < -4:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, digits - 1 - magnitude)}f}"
