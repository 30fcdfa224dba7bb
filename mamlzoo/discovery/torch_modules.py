"""Networks that are given as they are, a module, its class or a function that makes one, as models."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

from torch import nn

from mamlzoo.contracts.data import Spec
from mamlzoo.contracts.plugins import Model
from mamlzoo.engine.held_tensors import copy_of
from mamlzoo.errors import UsageError

NetworkLike = nn.Module | type[nn.Module] | Callable[..., nn.Module]


class Plain(Model):
    """A network brought along in Python.

    Attributes:
        has_own_shape: whether it is made without a Spec, and so promises to fit no shape but its own.
    """

    has_own_shape: ClassVar[bool]


def model_of(like: NetworkLike, name: str | None = None) -> type[Model]:
    """A model without options around a network.

    Args:
        like: a module, copied for each seed, which so all begin alike; or its class or a function that makes one, from
            a Spec or from nothing. Its attribute `exempt_from`, if it has one, is the model's.
        name: what the model is called; None: as the class or the function is.

    Raises:
        UsageError: it is none of these, or must be given more than a Spec.
    """
    if not callable(like):  # a module is callable too, but is not called to make one
        raise UsageError(f"a model must be a name, a mamlzoo.Model, a torch.nn.Module or a function, not {like!r}")
    called = name or str(getattr(like, "__name__", type(like).__name__))
    wanted = [] if isinstance(like, nn.Module) else _wanted(like)
    if len(wanted) > 1:
        raise UsageError(
            f"model '{called}' must be given {', '.join(one.name for one in wanted)}; what makes a network takes a "
            "Spec alone, or nothing: give the others defaults"
        )
    make = cast(Callable[..., nn.Module], like)

    class Given(Plain):
        """A network brought along in Python."""

        __wrapped__ = like  # what was written
        has_own_shape = not wanted
        exempt_from: ClassVar[Mapping[str, str]] = getattr(like, "exempt_from", Model.exempt_from)

        def build(self, spec: Spec) -> nn.Module:
            if isinstance(like, nn.Module):
                try:
                    return copy_of(like)
                except UsageError as error:
                    raise UsageError(f"model '{called}': its network {error}") from error
            if not wanted:
                return make()
            (argument,) = wanted
            return make(**{argument.name: spec}) if argument.kind is argument.KEYWORD_ONLY else make(spec)

    Given.name = called
    if name:
        Given.__doc__ = _docstring(like)
    return Given


def _docstring(like: NetworkLike) -> str | None:
    """What its author wrote: not that of a base class, nor torch's of a module that is put together of its own."""
    written_as = like if isinstance(like, type) or inspect.isroutine(like) else type(like)
    return None if written_as.__module__.partition(".")[0] in ("torch", "functools") else written_as.__doc__


def _wanted(make: Callable[..., Any]) -> list[inspect.Parameter]:
    """The arguments that a function cannot be called without."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except ValueError:  # written in C, and says nothing
        return []
    return [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
