"""Tables and numbers, as people read them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlzoo.tables import Table, count, csv_cell, duration, number, plain, rate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (0.12345, "0.1235"), (0.00123, "0.001230"), (1.23456, "1.235"), (12.3456, "12.35"),
        (-1515.48, "-1515"), (1234567.0, "1.235e+06"), (0.00001, "1.000e-05"),
        (float("inf"), "diverged"), (float("nan"), "–"),
    ],
)  # fmt: skip
def test_numbers_have_four_figures(value, text):
    assert number(value) == text


def test_a_table_as_text_is_aligned():
    table = Table("title", ["a", "long"], [["1", "2"], ["333", "4"]], ["note"])
    assert str(table) == "title\n\na    long\n---  ----\n1       2\n333     4\n\nnote"


def test_a_table_in_a_notebook_escapes_what_it_shows():
    assert "<td>&lt;b&gt;</td>" in Table("t", ["a"], [["<b>"]])._repr_html_()


def test_a_tables_html_tells_numbers_from_words_and_leaves_the_notes_to_the_page():
    html = Table("t", ["a", "b"], [["x", "1"]], ["note"]).html()
    assert '<tr><td>x</td><td class="number">1</td></tr>' in html
    assert "note" not in html


@given(st.text())
def test_a_text_of_a_stranger_holds_nothing_that_a_terminal_obeys(text):
    shown = plain(text)
    assert all(letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs") for letter in shown)
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
    assert plain(shown) == shown
    printable = "".join(letter for letter in text if letter.isprintable() and letter not in "\u2028\u2029")
    assert plain(printable) == printable


@given(
    st.text() | st.sampled_from(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "-1+cmd|' /C calc'!A0", "＝1", "-1e5", "-inf"])
)
def test_no_cell_of_a_csv_file_is_a_formula_and_numbers_stay_numbers(text):
    cell = csv_cell(text)
    if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")):
        assert float(cell) == float(text) or cell == text == "-nan"
    assert cell in (text, f"'{text}")
    assert csv_cell("-0.5") == "-0.5"


def test_a_table_as_text_holds_no_escape_codes():
    table = Table("\x1b[31mt", ["\x1ba"], [["\x9b1"]], ["\rnote"])
    assert not set(str(table)) & set("\x1b\x9b\r")


@pytest.mark.parametrize(("many", "text"), [(0, "0 seeds"), (1, "1 seed"), (2, "2 seeds")])
def test_one_of_something_is_no_plural(many, text):
    assert count(many, "seed") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 tasks/s"), (0.0421, "0.042 tasks/s"), (0.6, "0.60 tasks/s"), (1.0, "1 task/s"), (6.25, "6.2 tasks/s"),
     (9.96, "10 tasks/s"), (17481.3, "17,481 tasks/s")],
)  # fmt: skip
def test_a_slow_rate_is_not_rounded_to_nothing(value, text):
    assert rate(value, "task") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.021, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (229, "3 min 49 s"), (3599.7, "1 h 0 min"),
     (7500, "2 h 5 min"), (86399, "1 d 0 h"), (200_000, "2 d 8 h")],
)  # fmt: skip
def test_a_duration_is_said_in_two_units(seconds, text):
    assert duration(seconds) == text
