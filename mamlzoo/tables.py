"""A table as a value: text in a terminal, HTML in a notebook, colours in the command line."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a cursor, colours a terminal, turns the direction of writing, or is no letter; not line feed and tab."""
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes a cell that begins so for."""


def plain(text: str) -> str:
    """A stranger's text as it can be shown: what a terminal would obey is written out.

    >>> plain("a" + chr(27) + "[31mb")
    'a\\\\x1b[31mb'
    """
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def csv_cell(text: str) -> str:
    """A text as a CSV file may hold it: what a spreadsheet would compute is marked as text by an apostrophe.

    >>> csv_cell("=1+1"), csv_cell("-0.5"), csv_cell("-1,2")
    ("'=1+1", '-0.5', "'-1,2")
    """
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


NOT_APART = "cannot be told apart"
"""What is said of two whose difference has an interval that holds 0."""


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns, a title above and notes below.

    Attributes:
        left: which columns hold words and are aligned left; the others hold numbers.
        keys: how many columns, the first ones, say what a row is about.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    left: Sequence[int] = (0,)
    keys: int = 1

    def __str__(self) -> str:
        lines = [[plain(cell) for cell in line] for line in (self.columns, *self.rows)]
        widths = [max(len(line[at]) for line in lines) for at in range(len(self.columns))]

        def text(cells: Sequence[str]) -> str:
            aligned = [
                cell.ljust(width) if at in self.left else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            return "  ".join(aligned).rstrip()

        if not self.rows:
            return "\n".join([plain(self.title), *self._below()])
        rule = "  ".join("-" * width for width in widths)
        columns, *rows = map(text, lines)
        return "\n".join([plain(self.title), "", columns, rule, *rows, *self._below()])

    def _below(self) -> list[str]:
        return ["", *map(plain, self.notes)] if self.notes else []

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


def count(number: int, noun: str) -> str:
    """So many of something, as a person says it.

    >>> count(1, "test task"), count(3_000, "seed"), count(2, "class")
    ('1 test task', '3,000 seeds', '2 classes')
    """
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('s') else 's'}"


def some(names: Iterable[str], most: int, separator: str = ", ") -> str:
    """The first names, and how many more there are.

    >>> some(["a", "b", "c"], 2), some(["a", "b"], 2)
    ('a, b and 1 more', 'a, b')
    """
    known = list(names)
    rest = len(known) - most
    return separator.join(known[:most]) + (f" and {rest} more" if rest > 0 else "")


def named(noun: str, numbers: Collection[int]) -> str:
    """These of something, as in 'seed 3' or 'seeds 3, 5'."""
    return f"{f'{noun}s' if len(numbers) > 1 else noun} {', '.join(map(str, numbers))}"


def rate(value: float, noun: str) -> str:
    """So many of something a second: whole from 10 up, else two digits, so that a slow pace is no 0.

    >>> rate(17481.3, "task"), rate(6.25, "task"), rate(0.0421, "task"), rate(1, "meta-step")
    ('17,481 tasks/s', '6.2 tasks/s', '0.042 tasks/s', '1 meta-step/s')
    """
    shown = f"{value:,.0f}" if value >= 9.95 or value == 0 else number(value, 2).removesuffix(".0")
    return f"{shown} {noun}{'' if shown == '1' else 's'}/s"


def duration(seconds: float) -> str:
    """A time for people, in the two units that matter.

    >>> duration(0.021), duration(7.26), duration(83), duration(7500), duration(200_000)
    ('0.0 s', '7.3 s', '1 min 23 s', '2 h 5 min', '2 d 8 h')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, rest = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {rest} min"
    days, rest = divmod(round(seconds / 3600), 24)
    return f"{days} d {rest} h"
