"""Axes of a sweep: an option and the values that it takes, from lists and ranges."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from mamlzoo.contracts import numbers_as_text
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.contracts.options import Option
from mamlzoo.errors import UsageError
from mamlzoo.experiments.settings import BY_NAME

LIMIT = 10_000
"""A sweep has at most so many cells."""
DIGITS = 6
"""Significant digits of a geometric range's values: what tables show is what was run."""
FAR = 10
"""Two values with this ratio or a larger one are of different orders of magnitude."""
MEASURES = frozenset({"test_tasks", "test_seed", "valid_tasks", "validate_every"})
COMPUTES = frozenset({"device", "plan", "chunk", "threads", "recompute"})
NAMED = frozenset(BY_NAME.values())
FIXED = frozenset({"seeds", "init_from"}) | MEASURES | COMPUTES | NAMED
"""Settings that are no axis: most say how cells are measured or computed, and not what is learnt. Of those that hold
values by name each value is one, as `optimizer.weight_decay`."""
STEPS, GEOMETRIC = "from:to:step, as 5:20:5", "log:from:to:count, as log:1e-3:1e-1:3"


@dataclass(frozen=True)
class Axis:
    """What is swept, and its values in the order in which they were given.

    Attributes:
        key: `task`, `model` or `algorithm`, whose values are names; `algorithm.inner_lr` or `optimizer.momentum`, an
            option; `meta_batch`, a setting.
        name: as tables show it: `inner_lr`.
    """

    key: str
    name: str
    values: tuple[Any, ...]

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)

    @property
    def is_geometric(self) -> bool:
        """Whether its values are more evenly spaced by ratio than by difference; of two, whether they are far apart."""
        if not self.is_numeric or min(self.values) <= 0:
            return False
        values = sorted(self.values)
        if len(values) == 2:
            return bool(values[1] >= FAR * values[0])
        return _unevenness([math.log(value) for value in values]) < _unevenness(values)


def values(option: Option, given: Any) -> tuple[Any, ...]:
    """The values of an option that is swept, each once and in its declared type.

    Args:
        given: a list of them, or text as a flag has it; see `parse`.

    Raises:
        UsageError: there are none, one is no value of the option, or the text is no list or range.
    """
    if isinstance(given, str):
        return parse(option, given)
    if not isinstance(given, Iterable):
        raise UsageError(f"must be a list of values, not {shown(given)}")
    return _checked(option, given)


def parse(option: Option, text: str) -> tuple[Any, ...]:
    """The values that a flag's text stands for, each once.

    They are separated by commas; by semicolons where a single value has commas itself: `40,40;80,80`. Among numbers,
    `5:20:5` stands for 5, 10, 15 and 20, and `log:1e-3:1e-1:3` for three in a geometric sequence, from 0.001 to 0.1,
    rounded to six significant digits, or to whole numbers where the option is one.

    Raises:
        UsageError: as `values`.
    """
    parts = [part.strip() for part in text.split(";" if option.many else ",")]
    if len(parts) == 1 and option.many:  # which may be empty
        return _checked(option, [option.parse(text)])
    if not all(parts):
        raise UsageError(f"{shown(text)} lacks a value; write several as {'40,40;80,80' if option.many else 'a,b,c'}")
    found: list[Any] = []
    for part in parts:
        found += _range(option, part) if ":" in part and option.type in (int, float) else [option.parse(part)]
        _limit(len(found))
    return _checked(option, found)


def text(value: Any) -> str:
    """A value as a flag spells it."""
    if isinstance(value, tuple):
        return ",".join(map(text, value))
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _checked(option: Option, given: Iterable[Any]) -> tuple[Any, ...]:
    checked = tuple(dict.fromkeys(option.check(value) for value in given))
    if not checked:
        raise UsageError("is an empty list; name its values")
    return checked


def _range(option: Option, part: str) -> list[int] | list[float]:
    first, _, rest = part.partition(":")
    numbers = [_number(word) for word in (rest if first == "log" else part).split(":")]
    if len(numbers) != 3 or any(number is None for number in numbers):
        raise UsageError(f"{shown(part)} is no range; write {STEPS}, or {GEOMETRIC}")
    start, stop, last = (number for number in numbers if number is not None)
    found = _geometric(part, start, stop, last) if first == "log" else _stepped(part, start, stop, last)
    if option.type is float:
        return [float(value) for value in found]
    if first == "log":
        return [round(value) for value in found]
    broken = next((value for value in found if not _is_whole(value)), None)
    if broken is not None:
        raise UsageError(f"{shown(part)}: {broken} is not a whole number")
    return [int(value) for value in found]


def _stepped(part: str, start: Decimal, stop: Decimal, step: Decimal) -> list[Decimal]:
    """In decimals: 0.1:0.5:0.1 ends with 0.5."""
    if not step or (stop - start) / step < 0:
        raise UsageError(
            f"{shown(part)} is no range: steps of {step} do not lead from {start} to {stop}; write {STEPS}"
        )
    count = int((stop - start) / step) + 1
    _limit(count)
    return [start + at * step for at in range(count)]


def _geometric(part: str, start: Decimal, stop: Decimal, count: Decimal) -> list[Decimal]:
    if start <= 0 or stop <= 0:
        raise UsageError(f"{shown(part)} is no range: both ends of a geometric one must be above 0; write {GEOMETRIC}")
    if count < 2 or not _is_whole(count):
        raise UsageError(f"{shown(part)} is no range: it must have 2 values or more, not {count}; write {GEOMETRIC}")
    _limit(int(count))
    low, high = math.log(start), math.log(stop)
    inner = (math.exp(low + (high - low) * at / (int(count) - 1)) for at in range(1, int(count) - 1))
    return [start, *(Decimal(f"{value:.{DIGITS}g}") for value in inner), stop]


def _number(word: str) -> Decimal | None:
    """A finite number, exactly as it is written; None if it is none."""
    value = numbers_as_text.real(word)
    if value is None or not math.isfinite(value):
        return None
    return Decimal(word.strip()) if value else Decimal(0)  # what floats take for 0 may be a power without end


def _is_whole(value: Decimal) -> bool:
    return value == value.to_integral_value()


def _limit(count: int) -> None:
    if count > LIMIT:
        many = f"{count:,}" if count < 10**15 else f"{Decimal(count):.0e}"
        raise UsageError(f"{many} values; a sweep has at most {LIMIT:,} cells")


def _unevenness(values: Sequence[float]) -> float:
    """The largest gap between neighbours over the smallest."""
    gaps = [after - before for before, after in pairwise(values)]
    return max(gaps) / min(gaps) if min(gaps) else math.inf  # logarithms of neighbours may be the same
