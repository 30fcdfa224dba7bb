"""Tables and numbers, as people read them."""

from __future__ import annotations

import pytest

from mamlzoo.tables import Table, number


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
