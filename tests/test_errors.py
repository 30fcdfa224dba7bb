"""A stranger's exception becomes one short line, whatever it holds."""

from __future__ import annotations

import pytest

from mamlzoo.errors import LONGEST, in_short


class UnspeakableError(Exception):
    """Its message cannot be made."""

    def __str__(self):
        raise RuntimeError("no message")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such file\nat all"), "ValueError: no such file"),
        (ValueError(), "ValueError"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError("\x1b[31mred\ttab"), "ValueError:  [31mred tab"),
        (UnspeakableError(), "UnspeakableError"),
        (ValueError("x" * 1_000_000), "ValueError: " + "x" * LONGEST + "…"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_is_one_line_of_bounded_length_without_control_characters(error, line):
    assert in_short(error) == line
