"""A table in a terminal that is too narrow for it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from mamlzoo.cli.table_width import BETWEEN, EDGES, fitted
from mamlzoo.tables import Table

WIDE = Table(
    "five results", ["steps", "maml", "fomaml", "scratch", "meta-sgd", "what was found"],
    [["0", "4.234 ± 0.735", "4.209 ± 0.728", "4.221 ± 0.731", "4.208 ± 0.702", "no real difference"],
     ["10", "3.665 ± 0.660", "4.037 ± 0.707", "3.949 ± 0.697", "3.912 ± 0.695", "maml is better"]],
    left=(0, 5),
)  # fmt: skip


def lines(cli_output: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", cli_output).splitlines() if line.strip()]


def shown(monkeypatch, capsys, table: Table, width: int) -> list[str]:
    from mamlzoo.cli import console

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    console.print_table(table)
    return lines(capsys.readouterr().out)


def test_a_table_that_is_too_wide_goes_on_below_with_its_first_column_again(monkeypatch, capsys):
    assert shown(monkeypatch, capsys, WIDE, 58) == [
        "five results",
        " steps            maml          fomaml         scratch",
        " ─────────────────────────────────────────────────────",
        " 0       4.234 ± 0.735   4.209 ± 0.728   4.221 ± 0.731",
        " 10      3.665 ± 0.660   4.037 ± 0.707   3.949 ± 0.697",
        " steps        meta-sgd   what was found",
        " ──────────────────────────────────────────",
        " 0       4.208 ± 0.702   no real difference",
        " 10      3.912 ± 0.695   maml is better",
    ]


def test_words_are_wrapped_between_words(monkeypatch, capsys):
    told = Table("told", ["name", "what it is"], [["csv", "a folder of files, each a data set"]], left=(0, 1))
    assert shown(monkeypatch, capsys, told, 24) == [
        "told",
        " name   what it is",
        " ──────────────────────",
        " csv    a folder of",
        "        files, each a",
        "        data set",
    ]


WORDS = st.text(alphabet="abcdefgh0123456789±×", min_size=1, max_size=14)
CELLS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)


@st.composite
def tables(draw) -> Table:
    columns = draw(st.integers(1, 7))
    row = st.lists(CELLS, min_size=columns, max_size=columns)
    left = draw(st.sets(st.integers(0, columns - 1)))
    keys = draw(st.integers(1, columns))
    return Table("", draw(row), draw(st.lists(row, min_size=1, max_size=4)), left=sorted(left), keys=keys)


@given(tables(), st.integers(20, 200))
def test_nothing_is_lost_no_word_is_broken_and_no_number_wrapped(table, width):
    parts = fitted(table, width)
    beside = [column for part, _ in parts for column in range(table.keys, len(part.columns))]
    assert len(beside) == len(table.columns) - table.keys
    for part, widths in parts:
        assert list(part.columns[: table.keys]) == list(table.columns[: table.keys])
        for at, given_width in enumerate(widths):
            cells = [row[at] for row in part.rows]
            assert all(cell_len(word) <= given_width for cell in [part.columns[at], *cells] for word in cell.split())
            assert at in part.left or all(cell_len(cell) <= given_width for cell in cells)
        taken = sum(widths) + BETWEEN * (len(widths) - 1) + EDGES
        assert taken <= width or len(part.columns) <= table.keys + 1


def test_where_there_is_room_a_table_is_one_part_and_nothing_is_wrapped():
    ((part, widths),) = fitted(WIDE, 1000)
    assert (part.columns, part.rows) == (WIDE.columns, WIDE.rows)
    assert widths == [5, 13, 13, 13, 13, 18]
