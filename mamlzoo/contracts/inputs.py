"""What one example's input is made of: a tensor of numbers, or several by name or in an order."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mamlzoo import trees

Kind = Literal["float", "integer", "bool"]


@dataclass(frozen=True)
class Input:
    """One tensor of an example's input.

    Attributes:
        shape: of one example.
        kind: 'float'; 'integer', which is torch.int64; or 'bool'.
        vocabulary: whole numbers are 0 … vocabulary − 1, as an embedding looks them up. Saying it says 'integer'.
    """

    shape: tuple[int, ...]
    kind: Kind = "float"
    vocabulary: int | None = None

    def __post_init__(self) -> None:
        if self.vocabulary is not None:
            object.__setattr__(self, "kind", "integer")

    def __str__(self) -> str:
        shape = f"[n{''.join(f', {length}' for length in self.shape)}]"
        if self.vocabulary is not None:
            return f"{shape} of whole numbers below {self.vocabulary}"
        return shape + {"float": "", "integer": " of whole numbers", "bool": " of truth values"}[self.kind]

    def holds(self, dtype: torch.dtype) -> bool:
        """Whether it may be a tensor of this type."""
        if self.kind == "float":
            return dtype.is_floating_point
        return dtype == (torch.int64 if self.kind == "integer" else torch.bool)

    def examples(self, n: int, dtype: torch.dtype, device: torch.device | None) -> Tensor:
        """Some that differ, [n, *shape]: what a network is tried on."""
        shape = (n, *self.shape)
        if self.kind == "float":
            return torch.linspace(-1, 1, math.prod(shape), dtype=dtype, device=device).reshape(shape)
        numbers = torch.arange(math.prod(shape), device=device).reshape(shape)
        return numbers % 2 == 1 if self.kind == "bool" else numbers % (self.vocabulary or 2)


Inputs = Input | Mapping[str, Input] | tuple[Input, ...]
"""What one example's input is made of."""


def named(inputs: Inputs) -> dict[str, Input]:
    """Every tensor of an input by the name that follows `x`: '' where there is one, '.tokens' or '.0' of several."""
    if isinstance(inputs, Input):
        return {"": inputs}
    if isinstance(inputs, Mapping):
        return {f".{name}": part for name, part in inputs.items()}
    return {f".{at}": part for at, part in enumerate(inputs)}


def named_tensors(inputs: Inputs, x: Any) -> dict[str, Any]:
    """The tensors of inputs by the same names; nothing if x is of another structure."""
    if isinstance(inputs, Input):
        return {"": x}
    if isinstance(inputs, Mapping):
        fits = isinstance(x, Mapping) and x.keys() == inputs.keys()
        return {f".{name}": x[name] for name in inputs} if fits else {}
    fits = isinstance(x, tuple) and len(x) == len(inputs)
    return {f".{at}": leaf for at, leaf in enumerate(x)} if fits else {}


def described(inputs: Inputs) -> str:
    """In words, as in '[n, 3]' or 'tokens [n, 12] of whole numbers below 100 and length [n]'."""
    several = [f"{name.removeprefix('.')} {part}".strip() for name, part in named(inputs).items()]
    if isinstance(inputs, tuple):
        return f"a tuple of {' and '.join(part.partition(' ')[2] for part in several)}"
    return " and ".join(several)


def examples(inputs: Inputs, n: int, dtype: torch.dtype, device: torch.device | None = None) -> Any:
    """Inputs of n examples that differ, for trying a network."""
    if isinstance(inputs, Input):
        return inputs.examples(n, dtype, device)
    if isinstance(inputs, Mapping):
        return {name: part.examples(n, dtype, device) for name, part in inputs.items()}
    return tuple(part.examples(n, dtype, device) for part in inputs)


def count_of(x: Any) -> int:
    """How many examples inputs are of."""
    return len(x) if isinstance(x, Tensor) else len(trees.leaves(x)[0])


def arguments_of(network: nn.Module, x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a network is called with: a tensor as it is, a tuple in its order, of a dict what its `forward` asks for."""
    if isinstance(x, Mapping):
        asked = _asked_by(getattr(network.forward, "__func__", network.forward))
        return (), dict(x) if asked is None else {name: x[name] for name in asked if name in x}
    return (x if isinstance(x, tuple) else (x,)), {}


@functools.cache
def _asked_by(forward: Callable[..., Any]) -> tuple[str, ...] | None:
    """The names of its parameters; None: any. Looked up once, not in every call of a network."""
    parameters = inspect.signature(forward).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    return None if takes_any else tuple(parameter.name for parameter in parameters)
