"""Linear equations of a symmetric matrix that is known by its products with vectors alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mamlzoo import Params


def conjugate_gradients(product: Callable[[Params], Params], right: Params, steps: int) -> Params:
    """About x of A·x = right, by so many steps of conjugate gradients from x = 0.

    In exact arithmetic A's number of different eigenvalues is enough. Where the residual is 0 the rest of the steps
    change nothing.

    Args:
        product: v ↦ A·v.
    """
    solution = {name: torch.zeros_like(value) for name, value in right.items()}
    residual = direction = right
    size = dot(right, right)
    for _ in range(steps):
        image = product(direction)
        length = divided(size, dot(direction, image))
        solution = added(solution, length, direction)
        residual = added(residual, -length, image)
        size, before = dot(residual, residual), size
        direction = added(residual, divided(size, before), direction)
    return solution


def dot(one: Params, two: Params) -> Tensor:
    """The inner product ⟨one, two⟩."""
    return torch.stack([(value * two[name]).sum() for name, value in one.items()]).sum()


def added(one: Params, factor: Tensor, two: Params) -> Params:
    """One + factor·two."""
    return {name: value + factor * two[name] for name, value in one.items()}


def divided(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Their quotient, and 0 where it would be 0/0: nothing is left to do there."""
    nothing = denominator == 0
    return (numerator / denominator.masked_fill(nothing, 1)).masked_fill(nothing, 0)
