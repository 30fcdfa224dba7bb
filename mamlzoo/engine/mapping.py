"""A function over a leading axis: batched by torch.vmap, or one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch.func import vmap

from mamlzoo import trees

T = TypeVar("T")


def looped(function: Callable[..., T], in_dims: tuple[int | None, ...]) -> Callable[..., T]:
    """`torch.vmap(function, in_dims)` as a Python loop: the same results, one example at a time."""

    def mapped(*arguments: object) -> T:
        over = [argument for argument, dim in zip(arguments, in_dims, strict=True) if dim is not None]
        results = []
        for at in range(len(trees.leaves(over)[0])):
            row = [a if dim is None else trees.index(a, at) for a, dim in zip(arguments, in_dims, strict=True)]
            results.append(function(*row))
        return trees.stack(results)

    return mapped


MAPS: dict[str, Callable[..., Callable[..., Any]]] = {"vmap": vmap, "loop": looped}
"""How each plan maps a function over a leading axis where no meta-gradient is wanted."""
