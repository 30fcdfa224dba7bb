"""Options are declared once, and checked wherever they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlzoo.contracts import options
from mamlzoo.contracts.options import option, options_of
from mamlzoo.errors import UsageError


@dataclass(frozen=True)
class Example:
    shots: int = option(5, "how many", minimum=1, maximum=100)
    rate: float = option(0.1, "how fast", above=0)
    sizes: tuple[int, ...] = option((40, 40), "how wide", minimum=1)
    shape: Literal["round", "square"] = option("round", "which form")
    limit: float | None = option(None, "how far")
    loud: bool = option(False, "how loud")

    def __post_init__(self):
        options.validate(self, "example")


def test_every_annotation_is_understood():
    declared = options_of(Example)
    assert [(o.name, o.type, o.many, o.optional, o.choices) for o in declared.values()] == [
        ("shots", int, False, False, ()),
        ("rate", float, False, False, ()),
        ("sizes", int, True, False, ()),
        ("shape", str, False, False, ("round", "square")),
        ("limit", float, False, True, ()),
        ("loud", bool, False, False, ()),
    ]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("shots", "7", 7),
        ("rate", "1e-3", 1e-3),
        ("sizes", "10, 20,30", (10, 20, 30)),
        ("sizes", "", ()),
        ("shape", "square", "square"),
        ("limit", "none", None),
        ("limit", "-2.5", -2.5),
        ("loud", "true", True),
        ("loud", "no", False),
    ],
)
def test_a_flags_text_becomes_a_value(name, text, value):
    assert options_of(Example)[name].parse(text) == value


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"shots": 0}, "example: shots must be at least 1, not 0"),
        ({"shots": 101}, "example: shots must be at most 100, not 101"),
        ({"shots": 2.0}, "example: shots must be of type int, not 2.0"),
        ({"shots": True}, "example: shots must be of type int, not True"),
        ({"rate": 0.0}, "example: rate must be above 0, not 0.0"),
        ({"rate": float("nan")}, "example: rate must be finite, not nan"),
        ({"rate": None}, "example: rate must be of type float, not None"),
        ({"sizes": (40, 0)}, "example: sizes must be at least 1, not 0"),
        ({"sizes": 40}, "example: sizes must be several values of type int, not 40"),
        ({"shape": "rond"}, "example: shape 'rond' is not one of them; did you mean 'round'?"),
        ({"loud": 1}, "example: loud must be of type bool, not 1"),
    ],
)
def test_a_value_out_of_range_is_named(given, complaint):
    with pytest.raises(UsageError) as caught:
        Example(**given)
    assert str(caught.value) == complaint


def test_a_whole_number_will_do_for_a_float():
    assert isinstance(Example(rate=2).rate, float)


def test_an_unknown_option_is_refused_with_the_nearest_one():
    with pytest.raises(UsageError, match="example has no option 'shot'; did you mean 'shots'?"):
        options.make(Example, {"shot": 3}, "example")


def test_an_option_without_help_is_unusable():
    @dataclass(frozen=True)
    class Silent:
        shots: int = field(default=3)

    with pytest.raises(TypeError, match="shots is not declared with option"):
        options_of(Silent)


def test_nothing_is_the_choice_none_where_there_is_one():
    @dataclass(frozen=True)
    class Normed:
        norm: Literal["batch", "none"] = option("batch", "which norm")

    assert options_of(Normed)["norm"].check(None) == options_of(Normed)["norm"].parse("none") == "none"
    with pytest.raises(UsageError, match="must be of type str, not None"):
        options_of(Example)["shape"].check(None)


def test_an_option_of_a_strange_type_is_unusable():
    @dataclass(frozen=True)
    class Strange:
        shots: dict = option({}.get, "a mapping")

    with pytest.raises(TypeError, match="shots has the type"):
        options_of(Strange)


examples = st.builds(
    Example,
    shots=st.integers(1, 100),
    rate=st.floats(1e-6, 1e6),
    sizes=st.lists(st.integers(1, 1000)).map(tuple),
    shape=st.sampled_from(["round", "square"]),
    limit=st.none() | st.floats(-10, 10),
    loud=st.booleans(),
)


@given(examples)
def test_options_survive_json_and_flags(example):
    assert options.make(Example, options.values(example), "example") == example
    for declared in options_of(Example).values():
        value = getattr(example, declared.name)
        assert declared.check(declared.parse(declared.text(value))) == value
