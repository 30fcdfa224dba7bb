"""Signatures as text, from what griffe read."""

from __future__ import annotations

import re
from collections.abc import Sequence

import griffe

WIDTH = 80
"""Columns of a signature before it takes one line an argument."""

Kind = griffe.ParameterKind
EMPTY = {"dict()": "{}", "list()": "[]", "tuple()": "()"}


def spelled(expression: str | griffe.Expr | None) -> str:
    """An expression as the source has it, with double quotes."""
    return re.sub(r"'([^'\"\\]*)'", r'"\1"', str(expression))


def is_option(value: str | griffe.Expr | None) -> bool:
    """Whether a field's value is a call of `mamlzoo.option`."""
    return isinstance(value, griffe.ExprCall) and str(value.function).rpartition(".")[2] == "option"


def default(value: str | griffe.Expr | None) -> str | None:
    """The default that a caller meets; None where there is none."""
    if value is None:
        return None
    if not isinstance(value, griffe.ExprCall):
        return spelled(value)
    if is_option(value):
        return spelled(value.arguments[0])
    if isinstance(value.function, griffe.ExprLambda):
        return spelled(value.function.body)
    if str(value.function) == "field":
        given = {word.name: word.value for word in value.arguments if isinstance(word, griffe.ExprKeyword)}
        if "default" in given:
            return spelled(given["default"])
        if "default_factory" in given:
            return _call(given["default_factory"])
    return EMPTY.get(str(value), spelled(value))


def _call(factory: str | griffe.Expr) -> str:
    made = f"{spelled(factory)}()"
    return spelled(factory.body) if isinstance(factory, griffe.ExprLambda) else EMPTY.get(made, made)


def parameter(given: griffe.Parameter) -> str:
    """One argument, as in `steps: int = 1`."""
    stars = "*" if given.kind is Kind.var_positional else "**" if given.kind is Kind.var_keyword else ""
    text = stars + given.name
    if given.annotation is not None:
        text += f": {spelled(given.annotation)}"
    value = None if stars else default(given.default)
    if value is None:
        return text
    return f"{text} = {value}" if given.annotation is not None else f"{text}={value}"


def parameters(given: Sequence[griffe.Parameter]) -> list[str]:
    """The arguments but `self` and `cls`, with the marks of what is positional or by keyword only."""
    shown: list[str] = []
    own = [p for p in given if p.name not in ("self", "cls")]
    for at, one in enumerate(own):
        before = own[at - 1].kind if at else None
        if one.kind is Kind.keyword_only and before not in (Kind.keyword_only, Kind.var_positional):
            shown.append("*")
        shown.append(parameter(one))
        positional_ends = at + 1 == len(own) or own[at + 1].kind is not Kind.positional_only
        if one.kind is Kind.positional_only and positional_ends:
            shown.append("/")
    return shown


def call(name: str, arguments: Sequence[str], returns: str | griffe.Expr | None = None, width: int = WIDTH) -> str:
    """A call on one line, or with an argument a line where that is too long."""
    arrow = f" -> {spelled(returns)}" if returns is not None else ""
    line = f"{name}({', '.join(arguments)}){arrow}"
    if len(line) <= width:
        return line
    return "\n".join([f"{name}(", *(f"    {argument}," for argument in arguments), f"){arrow}"])


def function(name: str, found: griffe.Function, width: int = WIDTH) -> str:
    """A function's signature."""
    return call(name, parameters(list(found.parameters)), found.returns, width)


def is_named_tuple(found: griffe.Class) -> bool:
    """Whether it is declared as a `NamedTuple`."""
    return any(str(base) == "NamedTuple" for base in found.bases)


def constructor(found: griffe.Class) -> list[str] | None:
    """The arguments that make one; None for a class that is derived from and not called, such as a plugin's base."""
    if is_named_tuple(found):
        fields = [member for member in found.members.values() if isinstance(member, griffe.Attribute)]
        return [attribute(field.name, field) for field in fields if "instance-attribute" in field.labels]
    return parameters(list(found.parameters)) if "__init__" in found.members else None


def attribute(name: str, found: griffe.Attribute) -> str:
    """A field, a property or a constant, as in `steps: int = 1`."""
    value = None if "property" in found.labels else default(found.value)
    annotation = "" if found.annotation is None else f": {spelled(found.annotation)}"
    return f"{name}{annotation}" + (f" = {value}" if value is not None else "")


def bases(found: griffe.Class) -> list[str]:
    """What a class is derived from."""
    return [str(base) for base in found.bases]
