"""From what a config file says to what its command's flags would have said, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mamlzoo.cli.argument_words import SHORT_FLAGS
from mamlzoo.cli.flags import DeclaredType, no_option
from mamlzoo.contracts import numbers_as_text, options
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.contracts.options import Option
from mamlzoo.errors import UsageError, did_you_mean
from mamlzoo.sweeps import axes

OF_FILES = ("config", "save-config")
"""Flags that are no words of a file."""
NONE = "none"
"""TOML has no word for nothing; flags have this one."""


def words(params: Sequence[click.Parameter]) -> dict[str, click.Option]:
    """Flags by the words that stand for them in a file."""
    found = {_word(param): param for param in params if isinstance(param, click.Option)}
    return {word: param for word, param in found.items() if word not in OF_FILES}


def _word(param: click.Option) -> str:
    return max(param.opts, key=len).removeprefix("--")


def names(word: str, value: Any, several: bool) -> list[str]:
    """The names that a file gives to `task`, `model`, `algorithm` or `log`.

    Raises:
        UsageError: they are none, or several where one is allowed.
    """
    found = value if several and isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in found):
        raise UsageError(f"{word} must be a name{' or a list of names' if several else ''}, not {shown(value)}")
    return found


def as_args(word: str, value: Any, param: click.Option) -> list[str]:
    """What is to be written on a command line for a value of a file.

    Raises:
        UsageError: it is of another type or out of range, or no flag can spell it.
    """
    if param.multiple:
        return [f"--{word}={name}" for name in names(word, value, True)]
    if param.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{word} must be true or false, not {shown(value)}")
        return [f"--{word}"] if value else []
    try:
        text = _declared(param.type, value) if isinstance(param.type, DeclaredType) else _text(param, value)
    except (UsageError, click.BadParameter) as error:
        raise UsageError(f"{word} {error.message if isinstance(error, click.BadParameter) else error}") from None
    return [f"--{word}={text}"]


def _declared(type: DeclaredType, value: Any) -> str:
    """The text of a value that is checked as its option is declared."""
    option = type.option
    if not type.several:
        checked = option.check(_nothing(option, value))
        return _spelled(option.text(checked), checked, option.parse)
    if isinstance(value, str) and value != NONE:
        axes.values(option, value)
        return value
    listed = value if isinstance(value, list) else [value]
    if option.many and not any(isinstance(one, list) for one in listed):  # one value, which has several numbers
        listed = [value]
    several = axes.values(option, [_nothing(option, one) for one in listed])
    text = (";" if option.many else ",").join(map(option.text, several))
    return _spelled(text, several, lambda text: axes.parse(option, text))


def _nothing(option: Option, value: Any) -> Any:
    return None if option.optional and value == NONE else value


def _spelled(text: str, value: Any, parse: Any) -> str:
    try:
        found = parse(text)
    except UsageError:
        found = None
    if found != value:  # a comma within one of several
        raise UsageError(f"is {shown(value)}, which no flag can spell")
    return text


def _text(param: click.Option, value: Any) -> str:
    """The text of a value that its command checks; the flag's metavar says whether it may be numbers."""
    metavar = param.metavar or ""
    several = "..." in metavar and isinstance(value, list)
    numbers = value if several else [value] if "INT" in metavar else []
    if type(value) is not str and not (numbers and all(type(one) is int for one in numbers)):
        also = ", or a list of whole numbers" if "..." in metavar else ", or a whole number" if "INT" in metavar else ""
        raise UsageError(f"must be a text{also}, not {shown(value)}")
    text = value if isinstance(value, str) else ",".join(map(str, numbers))
    param.type.convert(text, param, None)
    return text


def unknown(word: str, known: Mapping[str, Any], chosen: Mapping[str, Sequence[str]], command: str) -> str:
    """What to say of a word that its command does not have."""
    kind, dot, name = word.partition(".")
    if dot and kind in chosen:
        own = [other.partition(".")[2] for other in known if other.startswith(f"{kind}.")]
        return no_option(kind, chosen[kind], name, own)
    tail = [other for other in known if other.endswith(f".{word}")]
    hint = f"did you mean '{tail[0]}'?" if tail else did_you_mean(word, known)
    return f"{shown(word)} is no word of `mamlzoo {command}`; {hint}"


def is_given(ctx: click.Context, param: click.Parameter) -> bool:
    """Whether the command line says it."""
    return ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE


def said(ctx: click.Context, params: Sequence[click.Parameter], chosen: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What a command was told, by the words of a config file, in values that TOML holds."""
    found: dict[str, Any] = {kind: names[0] if len(names) == 1 else list(names) for kind, names in chosen.items()}
    for word, param in words(params).items():
        if word not in SHORT_FLAGS and is_given(ctx, param):
            found[word] = _plain(param, ctx.params[param.name or ""])
    return found


def _plain(param: click.Option, value: Any) -> Any:
    if isinstance(param.type, DeclaredType) and param.type.several:
        several = [_one(one) for one in value]
        return several[0] if len(several) == 1 else several
    if "..." in (param.metavar or ""):  # as of seeds, a list
        return numbers_as_text.wholes(value) or value
    return _one(value)


def _one(value: Any) -> Any:
    if value is None:
        return NONE
    return str(value) if isinstance(value, Path) else options.plain(value)
