"""Numbers that a graph has as inputs, where the code that is traced takes Python floats.

torch's optimisers compute with their rate as with a Python float: in float64, and rounded where it meets a tensor. Of a
rate that is a tensor they compute in other orders, each its own, or refuse it. So a rate that must not be a constant of
a compiled program is a `TracedNumber`: a tensor that acts as a float, and gives the bits that a float gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

COMBINED: dict[str, Callable[[Any, Any, Any], Tensor]] = {
    "addcdiv_": lambda value, one, other: value * (one / other),
    "addcmul_": lambda value, one, other: value * one * other,
}
"""What an operation with a factor `value` adds, in the order in which a compiler takes it apart."""


class TracedNumber:
    """A number in a float64 tensor without axes: with a Python number it makes another one, with a tensor a tensor."""

    def __init__(self, value: Tensor) -> None:
        self.value = value

    def __neg__(self) -> TracedNumber:
        return TracedNumber(-self.value)

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: one + two)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: two + one)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: one - two)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: two - one)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: one * two)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: two * one)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: one / two)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: two / one)

    def __lt__(self, other: Any) -> bool:
        return float(self) < float(other)

    def __gt__(self, other: Any) -> bool:
        return float(self) > float(other)

    def __float__(self) -> float:
        return float(self.value)  # which a trace refuses: it asks for a tensor's value

    def _with(self, other: Any, function: Callable[[Any, Any], Tensor]) -> Any:
        if isinstance(other, Tensor):
            return NotImplemented  # the tensor's own method is asked next, and asks `__torch_function__`
        return TracedNumber(function(self.value, other.value if isinstance(other, TracedNumber) else other))

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """An operation of torch that is given such numbers: each is rounded to what its tensors have."""
        dtype = next(arg.dtype for arg in args if isinstance(arg, Tensor))
        given = dict(kwargs or {})
        args = [arg.value.to(dtype) if isinstance(arg, TracedNumber) else arg for arg in args]
        for name in [name for name, value in given.items() if isinstance(value, TracedNumber)]:
            # These take a factor as a Python number alone, and compute in the type of what they add to.
            number, tensor, *others = given.pop(name).value.to(dtype), *(arg.to(dtype) for arg in args)
            if name == "alpha" and func.__name__ == "add_":
                return tensor.add_(others[0] * number)
            return tensor.add_(COMBINED[func.__name__](number, *others))
        return func(*args, **given)


def numbers(tensor: Tensor) -> list[TracedNumber]:
    """Those of a tensor [numbers], in its order."""
    return [TracedNumber(value) for value in torch.unbind(tensor)]
