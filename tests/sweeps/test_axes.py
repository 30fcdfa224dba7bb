"""Lists and ranges of an option's values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlzoo import UsageError
from mamlzoo.contracts.options import option, options_of
from mamlzoo.sweeps import axes
from mamlzoo.sweeps.axes import Axis


class Declared:
    """Options of every type."""

    count: int = option(1, "a whole number", minimum=0)
    rate: float = option(0.1, "a number", minimum=0)
    hidden: tuple[int, ...] = option((40, 40), "several whole numbers", minimum=1)
    kind: Literal["relu", "tanh"] = option("relu", "one of a few words")
    flag: bool = option(False, "yes or no")
    end: float | None = option(None, "a number, or none")
    word: str = option("adam", "any word")


OPTIONS = options_of(dataclass(Declared))

LISTS = {
    "numbers": ("rate", "0.001,0.01,0.1", (0.001, 0.01, 0.1)),
    "whole numbers": ("count", "4, 25", (4, 25)),
    "a single one": ("count", "4", (4,)),
    "words": ("kind", "tanh,relu", ("tanh", "relu")),
    "yes and no": ("flag", "true,false", (True, False)),
    "none among them": ("end", "none,0", (None, 0.0)),
    "any word, with a colon": ("word", "a:b:c,d", ("a:b:c", "d")),
    "several of several": ("hidden", "40,40;80,80", ((40, 40), (80, 80))),
    "one of several": ("hidden", "40,40", ((40, 40),)),
    "one of several that is empty": ("hidden", "", ((),)),
    "the same twice": ("rate", "1,1.0,2", (1.0, 2.0)),
    "a range": ("count", "5:20:5", (5, 10, 15, 20)),
    "a range whose steps do not meet its end": ("count", "5:21:5", (5, 10, 15, 20)),
    "a range downwards": ("count", "20:5:-5", (20, 15, 10, 5)),
    "a range of decimals": ("rate", "0.1:0.5:0.1", (0.1, 0.2, 0.3, 0.4, 0.5)),
    "a geometric range": ("rate", "log:1e-3:1e-1:3", (0.001, 0.01, 0.1)),
    "a geometric range of whole numbers": ("count", "log:1:1000:4", (1, 10, 100, 1000)),
    "ranges in a list": ("count", "1,10:30:10,100", (1, 10, 20, 30, 100)),
}


@pytest.mark.parametrize(("name", "text", "values"), LISTS.values(), ids=LISTS)
def test_a_flags_text_stands_for_values(name, text, values):
    assert axes.parse(OPTIONS[name], text) == values


@given(
    start=st.integers(0, 10**6), step=st.integers(1, 10**4), steps=st.integers(0, 50), rest=st.integers(0, 10**4 - 1)
)
def test_a_range_of_decimals_is_what_exact_arithmetic_gives(start, step, steps, rest):
    stop = start + steps * step + rest % step
    found = axes.parse(OPTIONS["rate"], f"{start}e-4:{stop}e-4:{step}e-4")
    assert found == tuple(float(Fraction(start + at * step, 10**4)) for at in range(steps + 1))


@given(low=st.floats(1e-9, 1e9), ratio=st.floats(2, 1e9), count=st.integers(2, 20))
def test_a_geometric_range_has_both_ends_and_equal_ratios(low, ratio, count):
    high = low * ratio
    found = axes.parse(OPTIONS["rate"], f"log:{low!r}:{high!r}:{count}")
    assert (len(found), found[0], found[-1]) == (count, low, high)
    for before, after in pairwise(found):
        assert after / before == pytest.approx(ratio ** (1 / (count - 1)), rel=2e-5)


ERRORS = {
    "nothing": ("count", "", "'' lacks a value; write several as a,b,c"),
    "nothing between two": ("count", "1,,2", "'1,,2' lacks a value"),
    "nothing at the end": ("hidden", "40,40;", "'40,40;' lacks a value; write several as 40,40;80,80"),
    "out of bounds": ("rate", "0.1,-1", "must be at least 0, not -1"),
    "out of bounds in a range": ("count", "5:-5:-5", "must be at least 0, not -5"),
    "no number": ("count", "1,x", "'x' is not a whole number"),
    "no choice": ("kind", "relu,tan", "'tan' is not one of them; did you mean 'tanh'?"),
    "a range that ends before it begins": ("count", "5:1:1", "'5:1:1' is no range: steps of 1 do not lead from 5 to 1"),
    "steps of nothing": ("count", "5:20:0", "steps of 0 do not lead from 5 to 20; write from:to:step, as 5:20:5"),
    "steps that are next to nothing": ("rate", "0:1:1e-300", "1e+300 values; a sweep has at most 10,000 cells"),
    "a range of two": ("count", "5:20", "'5:20' is no range; write from:to:step, as 5:20:5, or log:from:to:count"),
    "a range of words": ("rate", "a:b:c", "'a:b:c' is no range"),
    "a range without end": ("rate", "0:inf:1", "'0:inf:1' is no range"),
    "steps between whole numbers": ("count", "1:2:0.5", "'1:2:0.5': 1.5 is not a whole number"),
    "a geometric range from nothing": ("rate", "log:0:1:3", "both ends of a geometric one must be above 0"),
    "a geometric range of one": ("rate", "log:1:2:1", "it must have 2 values or more, not 1"),
    "a geometric range of a part": ("rate", "log:1:2:2.5", "it must have 2 values or more, not 2.5"),
    "too many": ("count", "1:1000000:1", "1,000,000 values; a sweep has at most 10,000 cells"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "text", "line"), ERRORS.values(), ids=ERRORS)
def test_text_that_is_no_list_or_range_is_one_clear_line(name, text, line):
    with pytest.raises(UsageError) as caught:
        axes.parse(OPTIONS[name], text)
    assert line in str(caught.value)


def test_values_from_python_are_those_of_the_option_each_once():
    assert axes.values(OPTIONS["hidden"], [[40, 40], (80, 80), [40, 40]]) == ((40, 40), (80, 80))
    assert axes.values(OPTIONS["rate"], "log:1:100:3") == (1.0, 10.0, 100.0)


@pytest.mark.parametrize(("given", "line"), [([], "is an empty list"), (5, "must be a list of values, not 5")])
def test_what_is_no_list_of_values_is_refused(given, line):
    with pytest.raises(UsageError, match=line):
        axes.values(OPTIONS["count"], given)


@pytest.mark.parametrize(
    ("values", "numeric", "geometric"),
    [
        ((0.001, 0.01, 0.1), True, True),
        ((0.1, 0.001, 0.01), True, True),
        ((5, 10, 15, 20), True, False),
        ((0, 1, 10, 100), True, False),
        ((4, 25), True, False),
        ((1, 1000), True, True),
        ((True, False), False, False),
        ((None, 1.0), False, False),
        (("adam", "sgd"), False, False),
    ],
)
def test_numbers_are_told_from_words_and_ratios_from_differences(values, numeric, geometric):
    axis = Axis("option", "option", values)
    assert (axis.is_numeric, axis.is_geometric) == (numeric, geometric)
