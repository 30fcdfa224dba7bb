"""What can be said to an outer optimiser besides its rate: the arguments of its class of torch.optim, as options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.contracts.options import Option
from mamlzoo.engine.outer_optimizer import optimizer_class
from mamlzoo.errors import UsageError, did_you_mean, in_short

NOT_OFFERED = {
    "lr": "the rate is the setting outer_lr, --outer-lr",
    "foreach": "how torch computes, and not what, is the plan's to choose",
    "fused": "how torch computes, and not what, is the plan's to choose",
    "capturable": "the plan sets it where it must",
    "differentiable": "the plan sets it where it must",
    "maximize": "a meta-loss is minimised",
}
"""Arguments of torch's optimisers that are no options here, and why."""


def options_of_optimizer(name: str) -> dict[str, Option]:
    """The options that an optimiser has, by name, in the order of its signature.

    Raises:
        UsageError: there is no such optimiser, or it cannot serve as an outer optimiser.
    """
    cls = optimizer_class(name)
    known = list(inspect.signature(cls).parameters.values())[1:]  # the first is what it optimises
    return {parameter.name: _declared(cls, parameter) for parameter in known if parameter.name not in NOT_OFFERED}


def _declared(cls: Any, parameter: inspect.Parameter) -> Option:
    """From its default, and its annotation where that is the word of a type."""
    default, said = parameter.default, str(parameter.annotation)
    help = f"as torch.optim.{cls.__name__} takes it"
    if isinstance(default, bool):
        return Option(parameter.name, help, default, bool)
    if isinstance(default, tuple):
        return Option(parameter.name, help, default, float, many=True)
    if isinstance(default, str) or "str" in said:
        return Option(parameter.name, help, default, str, optional=default is None)
    whole = isinstance(default, int) and "float" not in said
    return Option(parameter.name, help, default, int if whole else float, optional=default is None)


def checked(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of an optimiser in their declared types, and taken by torch.

    Raises:
        UsageError: there is no such option, or its value is none for it.
    """
    known, found = options_of_optimizer(name), dict[str, Any]()
    for key, value in given.items():
        option = known.get(str(key).replace("-", "_"))
        if option is None:
            raise UsageError(unknown(name, str(key)))
        try:
            found[option.name] = option.check(value)
        except UsageError as error:
            raise UsageError(f"optimizer '{name}': {option.name} {error}") from None
        if option.many and len(found[option.name]) != len(option.default):
            raise UsageError(
                f"optimizer '{name}': {option.name} must be {len(option.default)} values, as "
                f"{option.text(option.default)}, not {shown(option.text(found[option.name]))}"
            )
    try:
        optimizer_class(name)([torch.zeros(1, 1)], lr=1.0, **found)
    except Exception as error:  # torch's own check of a range is a ValueError; of what it cannot even compare, others
        why = str(error) if isinstance(error, ValueError) else in_short(error)
        raise UsageError(f"optimizer '{name}' refuses {_listed(found)}: {why}") from error
    return found


def unknown(name: str, key: str) -> str:
    """What to say of an option that an optimiser does not have."""
    key = key.replace("-", "_")
    if key in NOT_OFFERED:
        return f"optimizer '{name}' is not given {key}: {NOT_OFFERED[key]}"
    return f"optimizer '{name}' has no option {shown(key)}; {did_you_mean(key, options_of_optimizer(name))}"


def _listed(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in given.items()) or "its defaults"
