"""A plugin's options, declared once.

A plugin is a frozen dataclass and its fields are its options:

    class Sine(Task):
        shots: int = option(10, "support points of an episode", minimum=1)

From that one line come the keyword `Sine(shots=5)`, the flag `--task.shots 5`, the lines of `mamlzoo info
sine`, the check that 0 is refused, and what is saved in a run's config.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from weakref import WeakKeyDictionary

from mamlzoo.contracts import numbers_as_text
from mamlzoo.contracts.numbers_as_text import LARGEST, shown
from mamlzoo.contracts.ranges import Range
from mamlzoo.errors import PluginError, UsageError, did_you_mean

Scalar = int | float | bool | str | Range
P = typing.TypeVar("P")
SCALARS: tuple[type, ...] = (bool, int, float, str)
DECLARATION = "an option is declared as shots: int = mamlzoo.option(10, 'support points of an episode')"
"""What those are told whose declaration cannot be used."""


_OPTIONS: WeakKeyDictionary[type, dict[str, Option]] = WeakKeyDictionary()
"""What each class declares, for as long as it is there: it is read once, since every plugin made asks for it."""


class ByName(dict[str, Any]):
    """Values by name, which is not to be changed: it may be the default of an option."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a plugin, as every part of mamlzoo sees it.

    Attributes:
        name: the Python name, as in `inner_lr`; its flag spells it `inner-lr`.
        type: `bool`, `int`, `float` or `str`; `object` where who declares it checks the values itself.
        many: whether it holds any number of values (a `tuple[type, ...]`), written `40,40`.
        named: whether it holds values by name (a `Mapping[str, type]`); each of them has a flag of its own.
        optional: whether `None` (written `none`) is allowed.
        ranges: whether a range of whole numbers (a `Range`, written `1..20`) is allowed in place of one.
        choices: the values allowed, where they are few.
        minimum, maximum: the bounds, inclusive.
        above: the lower bound, exclusive.
        later: whether runs without it are those in which it is at its default.
    """

    name: str
    help: str
    default: Any
    type: type
    many: bool = False
    named: bool = False
    optional: bool = False
    ranges: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    later: bool = False

    @property
    def flag(self) -> str:
        """The name as flags spell it: `inner-lr`."""
        return self.name.replace("_", "-")

    @property
    def metavar(self) -> str:
        """What may stand behind the flag: `INT`, `FLOAT,...`, `relu|tanh`."""
        one = "|".join(self.choices) or self.type.__name__.upper()
        return one + ("|INT..INT" if self.ranges else "") + (",..." if self.many else "")

    def parse(self, text: str) -> Any:
        """The value that a flag's text stands for.

        Raises:
            UsageError: the text is no such value. Bounds are checked when the plugin is made.
        """
        if self.optional and text.lower() == "none":
            return None
        if not self.many:
            return self._parse_one(text)
        parts = [part.strip() for part in text.split(",")] if text.strip() else []
        if not all(parts):
            raise UsageError(f"{shown(text)} lacks a value; write several as 40,40")
        return tuple(map(self._parse_one, parts))

    def _parse_one(self, text: str) -> Scalar:
        if self.type is bool:
            words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
            if text.lower() in words:
                return words[text.lower()]
            raise UsageError(f"{shown(text)} is neither true nor false")
        if self.type is str:
            return text
        if self.ranges and (found := Range.read(text)) is not None:
            return found
        value = numbers_as_text.whole(text) if self.type is int else numbers_as_text.real(text)
        if value is None:
            raise UsageError(f"{shown(text)} is not {self._wanted}")
        return value

    @property
    def _wanted(self) -> str:
        if self.type is float:
            return "a number"
        return "a whole number, or a range of them as 1..20" if self.ranges else "a whole number"

    def text(self, value: Any) -> str:
        """A value as a flag spells it; the inverse of `parse`."""
        if isinstance(value, tuple):
            return ",".join(self.text(item) for item in value)
        if isinstance(value, bool) or value is None:
            return str(value).lower()
        return str(value)

    def check(self, value: Any) -> Any:
        """The value in its declared type.

        Raises:
            UsageError: it is of another type or out of range.
        """
        if value is None and self.optional:
            return None
        if value is None and "none" in self.choices:  # recipes have one word for both
            return "none"
        if self.named:
            if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
                raise UsageError(f"must be values by name, as {{'name': …}}, not {shown(value)}")
            return ByName({name: self._check_named(name, one) for name, one in value.items()})
        if self.many:
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise UsageError(f"must be several values of type {self.type.__name__}, not {shown(value)}")
            return tuple(self._check_one(item) for item in value)
        if self.ranges:
            return self._check_range(value)
        return self._check_one(value)

    def _check_range(self, value: Any) -> Scalar:
        if isinstance(value, str):  # as JSON holds it
            value = Range.read(value) or value
        if not isinstance(value, Range):
            return self._check_one(value)
        for end in (value.least, value.most):
            self._check_one(end)
        return value.least if value.least == value.most else value

    def _check_named(self, name: str, value: Any) -> Any:
        if self.type is object:
            return tuple(value) if isinstance(value, list) else value
        try:
            return self._check_one(value)
        except UsageError as error:
            raise UsageError(f"of {shown(name)} {error}") from None

    def _check_one(self, value: Any) -> Scalar:
        if not isinstance(value, bool):  # numpy's numbers too
            if self.type is int and isinstance(value, numbers.Integral):
                value = int(value)
            elif self.type is float and isinstance(value, numbers.Real):
                value = _as_float(value)
        said = shown(value)
        exact = isinstance(value, self.type) and (self.type is bool or not isinstance(value, bool))
        if not exact:
            raise UsageError(f"must be of type {self.type.__name__}, not {said}")
        if self.choices and value not in self.choices:
            raise UsageError(f"{said} is not one of them; {did_you_mean(value, self.choices)}")
        if self.type is float and not math.isfinite(value):
            raise UsageError(f"must be finite, not {said}")
        if self.minimum is not None and value < self.minimum:
            raise UsageError(f"must be at least {self.minimum:g}, not {said}")
        if self.maximum is not None and value > self.maximum:
            raise UsageError(f"must be at most {self.maximum:g}, not {said}")
        if self.above is not None and value <= self.above:
            raise UsageError(f"must be above {self.above:g}, not {said}")
        if self.type is int and abs(value) > LARGEST:
            bound = f"at most {LARGEST}" if value > 0 else f"at least {-LARGEST}"
            raise UsageError(f"must be {bound}, as 64 bits hold it, not {said}")
        return typing.cast(Scalar, value)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number or a fraction that no float holds
        return math.inf if value > 0 else -math.inf


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    later: bool = False,
) -> Any:
    """Declare an option as a field of a plugin's class.

    Its type is the field's annotation: `bool`, `int`, `float`, `str`, `Literal["a", "b"]`, `tuple[int, ...]`,
    `int | Range`, or one of them `| None`.

    Args:
        default: the value where none is given.
        help: what it means, in one line, with its unit.
        minimum, maximum: inclusive bounds.
        above: an exclusive lower bound.
        later: say so of an option that comes to a plugin of which there are runs: at its default these are the same
            experiments still, and are gone on with. The default then stays what it is.
    """
    bounds = {"minimum": minimum, "maximum": maximum, "above": above}
    return dataclasses.field(default=default, metadata={"help": help, "later": later, **bounds})


def options_of(cls: type) -> dict[str, Option]:
    """The options that a plugin's class declares, in order.

    Raises:
        TypeError: a field's annotation is none of the types an option may have, or its help is missing.
    """
    if (known := _OPTIONS.get(cls)) is None:
        hints = typing.get_type_hints(cls)
        known = {field.name: _declared(field, hints[field.name]) for field in dataclasses.fields(cls) if field.init}
        _OPTIONS[cls] = known
    return dict(known)


def _declared(field: dataclasses.Field[Any], hint: Any) -> Option:
    if not field.metadata.get("help"):
        raise TypeError(f"{field.name} is not declared with option(default, help)")
    details = dict(field.metadata)
    parts = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    optional, ranges = type(None) in parts, Range in parts and int in parts
    hint, *more = (part for part in parts if part is not type(None) and not (ranges and part is Range))
    named = typing.get_origin(hint) is Mapping
    if named:
        hint = object if typing.get_args(hint)[1] is Any else typing.get_args(hint)[1]
    if more:
        raise TypeError(f"{field.name} may be a {hint} or a {more[0]}, and an option has one type")
    many = typing.get_origin(hint) is tuple
    if many:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is Literal:
        details["choices"] = typing.get_args(hint)
        hint = str if all(isinstance(choice, str) for choice in details["choices"]) else hint
    if hint not in SCALARS and not (named and hint is object):
        raise TypeError(f"{field.name} has the type {hint}, which no option may have")
    return Option(
        name=field.name,
        default=field.default,
        type=hint,
        many=many,
        named=named,
        optional=optional,
        ranges=ranges,
        **details,
    )


def validate(plugin: Any, where: str) -> None:
    """Check every option of a plugin just made, and set it to its declared type.

    Raises:
        UsageError: naming the option, its value and what would be right.
    """
    for name, declared in options_of(type(plugin)).items():
        try:
            value = declared.check(getattr(plugin, name))
        except UsageError as error:
            raise UsageError(f"{where}: {name} {error}") from None
        object.__setattr__(plugin, name, value)


def values(plugin: Any) -> dict[str, Any]:
    """The plugin's options by name, as JSON can hold them."""
    return {name: plain(getattr(plugin, name)) for name in options_of(type(plugin))}


def later_at_default(plugin: Any) -> list[str]:
    """The options that came later, of those that are at their defaults."""
    return [
        name for name, one in options_of(type(plugin)).items() if one.later and getattr(plugin, name) == one.default
    ]


def plain(value: Any) -> Any:
    """An option's value as JSON can hold it."""
    if isinstance(value, Range):
        return str(value)
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def make(cls: type[P], given: Mapping[str, Any], where: str) -> P:
    """An instance of a plugin's class from options by name; lists, as JSON has them, stand for tuples.

    Raises:
        UsageError: an option that the class does not have, or a value out of range.
        PluginError: its own `__init__` sets an attribute.
    """
    known = options_of(cls)
    given = {name.replace("-", "_"): value for name, value in given.items()}
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) if known else "it has no options"
            raise UsageError(f"{where} has no option '{name}'; {hint}")
    with frozen(where):
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})


@contextmanager
def frozen(where: str) -> Iterator[None]:
    """Tell a plugin that sets an attribute of itself while it is made, how an option is declared."""
    try:
        yield
    except dataclasses.FrozenInstanceError as error:
        raise PluginError(
            f"{where}: {error}, as a plugin is frozen", remedy=f"{DECLARATION}, not set in __init__"
        ) from error


def describe(cls: type) -> Iterator[tuple[Option, str]]:
    """Each option with its bounds in words, for people."""
    for declared in options_of(cls).values():
        bounds = []
        if declared.minimum is not None:
            bounds.append(f"at least {declared.minimum:g}")
        if declared.above is not None:
            bounds.append(f"above {declared.above:g}")
        if declared.maximum is not None:
            bounds.append(f"at most {declared.maximum:g}")
        yield declared, ", ".join(bounds)
