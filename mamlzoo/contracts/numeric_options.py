"""Options that are numbers, as tensors: a program takes them as inputs, and each seed may have its own.

A plugin says `params - self.inner_lr * gradient`, and that is the same line for a number and for a tensor of one. In
float32, 1 − β is then a difference of tensors, where Python rounds once, at 64 bits: the last digit can differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TypeVar

from torch import Tensor

from mamlzoo.contracts.options import options_of

P = TypeVar("P")


def numeric_options(plugin: object) -> dict[str, float]:
    """A plugin's options that are floating-point numbers, by name; none where others of its attributes may follow
    from them."""
    declared = options_of(type(plugin))
    if any(name not in declared for name in _held(plugin)):
        return {}
    numbers = {name: value for name, value in _held(plugin).items() if declared[name].type is float}
    return {name: value for name, value in numbers.items() if isinstance(value, float)}  # not None, nor several


def tensors_of(plugin: object) -> dict[str, Tensor]:
    """The options that are tensors, by name."""
    return {name: value for name, value in vars(plugin).items() if isinstance(value, Tensor)}


def with_numbers(plugin: P, numbers: Mapping[str, float | Tensor]) -> P:
    """A copy with other numbers as the options of these names; they are not checked, so that they may be tensors."""
    if not numbers:
        return plugin
    copy = object.__new__(type(plugin))
    vars(copy).update(_held(plugin) | dict(numbers))
    return copy


def _held(plugin: object) -> dict[str, object]:
    """A plugin's attributes, but for those that it computes anew where they are not there."""
    kept = vars(plugin).items()
    return {name: value for name, value in kept if not isinstance(getattr(type(plugin), name, None), cached_property)}
