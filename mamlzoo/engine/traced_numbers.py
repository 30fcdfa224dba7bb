"""Numbers that a graph has as inputs, where the code that is traced takes Python floats.

torch's optimisers compute with their rate as with a Python float: in float64, and rounded where it meets a tensor. Of a
rate that is a tensor they compute in other orders, each its own, or refuse it. So a rate that must not be a constant of
a compiled program is a `TracedNumber`: a tensor that acts as a float, and gives the bits that a float gives.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

ADDED: dict[str, Callable[..., Tensor]] = {
    "add_": lambda number, other: other * number,
    "addcdiv_": lambda number, one, other: number * (one / other),
    "addcmul_": lambda number, one, other: number * one * other,
}
"""What an operation adds, of a factor that it takes as a Python number alone; in the order in which a compiler takes it
apart."""


class TracedNumber(float):
    """The number of a float64 tensor without axes: with a Python number it makes another one, with a tensor a tensor.

    To torch it is a float, since some operations take nothing else; `TracedNumbers` gives them its tensor instead.
    Where that is forgotten it is NaN.
    """

    value: Tensor

    def __new__(cls, value: Tensor) -> Self:
        number = super().__new__(cls, "nan")
        number.value = value
        return number

    def __neg__(self) -> TracedNumber:
        return TracedNumber(-self.value)

    def __float__(self) -> float:
        return float(self.value)  # which a trace refuses: it asks for a tensor's value


def _combining(function: Callable[[Any, Any], Any], *, reflected: bool) -> Callable[[TracedNumber, Any], Any]:
    def combined(self: TracedNumber, other: Any) -> Any:
        if isinstance(other, Tensor):
            return NotImplemented  # the tensor's own method is asked next
        one, two = self.value, other.value if isinstance(other, TracedNumber) else other
        return TracedNumber(function(two, one) if reflected else function(one, two))

    return combined


def _comparing(function: Callable[[Any, Any], bool]) -> Callable[[TracedNumber, Any], bool]:
    return lambda self, other: function(float(self), float(other))


for _name in ("add", "sub", "mul", "truediv", "pow"):
    _function = getattr(operator, _name)
    setattr(TracedNumber, f"__{_name}__", _combining(_function, reflected=False))
    setattr(TracedNumber, f"__r{_name}__", _combining(_function, reflected=True))
for _name in ("lt", "le", "gt", "ge"):
    setattr(TracedNumber, f"__{_name}__", _comparing(getattr(operator, _name)))


class TracedNumbers(TorchFunctionMode):
    """While it is entered, torch computes with the tensors of such numbers, rounded to what its tensors have."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if not any(isinstance(arg, TracedNumber) for arg in (*args, *given.values())):
            return func(*args, **given)
        dtype = next((arg.dtype for arg in args if isinstance(arg, Tensor)), torch.float64)
        args = [arg.value.to(dtype) if isinstance(arg, TracedNumber) else arg for arg in args]
        factors = [name for name, value in given.items() if isinstance(value, TracedNumber)]
        if not factors:
            return func(*args, **given)
        (name,) = factors  # alpha or value; these compute in the type of what they add to
        number, tensor, *others = given[name].value.to(dtype), *(arg.to(dtype) for arg in args)
        return tensor.add_(ADDED[func.__name__](number, *others))


def numbers(tensor: Tensor) -> list[TracedNumber]:
    """Those of a tensor [numbers], in its order."""
    return [TracedNumber(value) for value in torch.unbind(tensor)]
