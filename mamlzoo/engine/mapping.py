"""A function over a leading axis: batched by torch.vmap, or one after another."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from torch.func import vmap

from mamlzoo import trees

T = TypeVar("T")


def apart(tree: T, at: int | tuple[int, ...]) -> T:
    """A row of a tree, in memory of its own.

    Where the operands of a matrix product lie says by which routine it is computed, and so its last digits: a row that
    begins in the middle of a tensor has others beside other rows than alone.
    """
    return trees.tree_map(lambda leaf: leaf[at].clone(), tree)


def looped(
    function: Callable[..., T], in_dims: tuple[int | None, ...], row: Callable[[Any, int], Any] = trees.index
) -> Callable[..., T]:
    """`torch.vmap(function, in_dims)` as a Python loop: the same results, one example at a time.

    Args:
        row: takes one example of many.
    """

    def mapped(*arguments: object) -> T:
        over = [argument for argument, dim in zip(arguments, in_dims, strict=True) if dim is not None]
        results = []
        for at in range(len(trees.leaves(over)[0])):
            own = [a if dim is None else row(a, at) for a, dim in zip(arguments, in_dims, strict=True)]
            results.append(function(*own))
        return trees.stack(results)

    return mapped


MAPS: dict[str, Callable[..., Callable[..., Any]]] = {"vmap": vmap, "loop": functools.partial(looped, row=apart)}
"""How each plan maps a function over a leading axis where no meta-gradient is wanted."""
