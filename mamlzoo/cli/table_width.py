"""Fit a table into a terminal: no number is cut, no word is broken, and nothing is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len

from mamlzoo.tables import Table

LONG_WORD = 30
"""Columns that one word may ask for; a longer one, as a path, is broken."""
EDGES, BETWEEN = 2, 3
"""Columns that a table takes besides its cells: at its edges, and between two cells."""


def fitted(table: Table, width: int) -> list[tuple[Table, list[int]]]:
    """The table in as few parts as fit, each with the width of its columns.

    Every part begins with the key columns. Numbers stand on one line; words are wrapped between words. Only where not
    even one column fits beside the keys is that part wider than asked for.
    """
    least = [_least(table, at) for at in range(len(table.columns))]
    keys, rest = list(range(table.keys)), list(range(table.keys, len(table.columns)))
    parts = [keys + rest[:1]]
    for at in rest[1:]:
        if _taken([least[one] for one in [*parts[-1], at]]) <= width:
            parts[-1].append(at)
        else:
            parts.append([*keys, at])
    return [(_of(table, part), _widths(table, part, least, width)) for part in parts]


def _of(table: Table, columns: Sequence[int]) -> Table:
    """The table of some of its columns."""
    return replace(
        table,
        columns=[table.columns[at] for at in columns],
        rows=[[row[at] for at in columns] for row in table.rows],
        left=[new for new, at in enumerate(columns) if at in table.left],
    )


def _widths(table: Table, part: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """At least what is needed; what is left goes first to the columns that miss least: those need not be wrapped."""
    wished = [max(map(cell_len, _lines(table, at))) for at in part]
    given = [min(least[at], wish) for at, wish in zip(part, wished, strict=True)]
    for at in sorted(range(len(part)), key=lambda at: wished[at] - given[at]):
        given[at] += min(wished[at] - given[at], max(0, width - _taken(given)))
    return given


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + BETWEEN * (len(widths) - 1) + EDGES


def _least(table: Table, at: int) -> int:
    """What a column needs: its longest word, and of numbers the longest cell."""
    words = [word for line in _lines(table, at) for word in line.split()]
    longest = min(LONG_WORD, max(map(cell_len, words), default=1))
    return longest if at in table.left else max([longest, *(cell_len(row[at]) for row in table.rows)])


def _lines(table: Table, at: int) -> list[str]:
    return [line for cell in [table.columns[at], *(row[at] for row in table.rows)] for line in cell.split("\n")] or [""]
