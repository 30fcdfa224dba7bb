"""Numbers as people write them: plain ASCII is read as Python reads it, all else is refused in one line."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mamlzoo.contracts import options
from mamlzoo.contracts.csv_points import read_points
from mamlzoo.contracts.numbers_as_text import LARGEST, real, shown, whole
from mamlzoo.contracts.options import option, options_of
from mamlzoo.errors import UsageError
from mamlzoo.sweeps import axes


@dataclass(frozen=True)
class Example:
    count: int = option(5, "how many")
    rate: float = option(0.1, "how fast")
    sizes: tuple[int, ...] = option((40, 40), "how wide")

    def __post_init__(self):
        options.validate(self, "example")


OPTIONS = options_of(Example)
PLAIN_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
PLAIN_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
LIKE_NUMBERS = st.text(st.sampled_from("0123456789+-._eE, :;inftyxa٣５²½\u2212\u00a0\x1b\n[/]"), max_size=12)
TEXTS = LIKE_NUMBERS | st.text(max_size=8) | st.integers().map(str) | st.floats().map(repr)


@given(TEXTS)
@example("1_000")
@example("٣")
@example("９")
@example("ınf")
@example("9" * 5000)
@example("-" + "9" * 5000)
@example("0" * 4000 + "1")
def test_an_options_text_is_a_plain_number_or_is_refused_in_one_line(text):
    try:
        value = OPTIONS["count"].check(OPTIONS["count"].parse(text))
    except UsageError as error:
        assert_is_one_short_line(error)
        assert not PLAIN_WHOLE.fullmatch(text) or len(text) > 18
    else:
        assert PLAIN_WHOLE.fullmatch(text.strip())
        assert value == int(text)


@given(TEXTS)
@example("1e400")
@example("1_0.5")
@example("9" * 5000)
@example("1e-99999999999999999999")
def test_a_rates_text_is_a_plain_finite_number_or_is_refused_in_one_line(text):
    try:
        value = OPTIONS["rate"].check(OPTIONS["rate"].parse(text))
    except UsageError as error:
        assert_is_one_short_line(error)
        assert not PLAIN_REAL.fullmatch(text) or math.isinf(float(text))
    else:
        assert PLAIN_REAL.fullmatch(text.strip())
        assert value == float(text)


@given(TEXTS)
@example("1,,2")
@example("1,")
@example(",")
def test_a_list_has_every_value_that_its_commas_promise(text):
    try:
        value = OPTIONS["sizes"].parse(text)
    except UsageError as error:
        assert_is_one_short_line(error)
    else:
        assert value == (tuple(int(part) for part in text.split(",")) if text.strip() else ())


@given(st.sampled_from(sorted(OPTIONS)), TEXTS | st.lists(TEXTS, min_size=3, max_size=3).map(":".join))
@example("count", "1e30:2e30:1e30")
@example("count", "log:1:2:1e30")
@example("rate", "0:1e308:1e-308")
@example("rate", "1_0:20:10")
def test_an_axiss_text_is_values_of_its_option_or_is_refused_in_one_line(name, text):
    try:
        values = axes.parse(OPTIONS[name], text)
    except UsageError as error:
        assert_is_one_short_line(error)
    else:
        assert tuple(map(OPTIONS[name].check, values)) == values


@given(LIKE_NUMBERS.filter(lambda text: not set(text) & set(",\n")) | st.floats().map(repr))
@example("1_000")
@example("٣")
@example("5e-324")
def test_a_cell_is_a_plain_finite_number_or_is_refused_with_its_place(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "cells.csv"
    path.write_text(f"x,y\n1,{text}\n", encoding="utf-8")
    try:
        found = read_points(path)
    except UsageError as error:
        assert_is_one_short_line(error, where=", line 2, column 'y': ")
    else:
        assert PLAIN_REAL.fullmatch(text.strip())
        assert found.y.item() == pytest.approx(float(text), rel=1e-6, abs=1e-40)


def assert_is_one_short_line(error: UsageError, where: str = "") -> None:
    assert where in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 250


@given(st.integers() | st.integers(-(10**3000), 10**3000) | st.integers(-(10**4000), 10**4000))
@example(10**400)
def test_a_whole_number_from_python_is_what_a_float_holds_or_is_refused(value):
    for name in ("rate", "count"):
        try:
            options.make(Example, {name: value}, "example")
        except UsageError as error:
            assert_is_one_short_line(error)
            assert abs(value) > (LARGEST if name == "count" else 10**308)


@given(st.integers(-(10**30), 10**30))
def test_a_whole_number_is_read_as_it_is_written(value):
    assert whole(f" {value} ") == value
    assert real(str(value)) == float(value)


@pytest.mark.parametrize("value", ["9" * 5000, 10**5000, [10**5000], "a\nb", "\x1b[31m", {"x": ["y"] * 999}], ids=type)
def test_what_is_shown_of_a_value_is_one_short_line(value):
    assert shown(value).isprintable()
    assert len(shown(value)) <= 90
