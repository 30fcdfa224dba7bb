"""Which of an algorithm's options are inputs of its program: those that it uses as numbers, so that another rate is no
other program. What it branches on, or hands to what wants a Python number, stays a constant."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.numeric_options import numeric_options
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.compilation.program_cache import CannotCompileError

T = TypeVar("T")


def with_most(bound: Bound, made: Callable[[tuple[str, ...]], T]) -> T:
    """What is made with as many numeric options as tensors as can be.

    Nobody declares what an option is used for: it is tried. Of all at once first, which is mostly all there is to it.

    Args:
        made: of the names of options that are tensors.

    Raises:
        CannotCompileError: it cannot be made with none but those that differ from seed to seed.
    """
    least = tuple(bound.numbers)
    others = [name for name in numeric_options(bound.algorithm) if name not in least]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is done with a tensor in place of a number
        try:
            return made((*least, *others))
        except CannotCompileError:
            if not others:
                raise
        found = made(least)  # which fails again where options are not what is in the way
        for name in others:
            with contextlib.suppress(CannotCompileError):
                found, least = made((*least, name)), (*least, name)
        return found


def numbers_of(bound: Bound, names: Sequence[str]) -> Tensor:
    """The values of options, [seeds, options], as θ's kind of numbers."""
    like, own = trees.leaves(bound.meta)[0], numeric_options(bound.algorithm)
    seeds = len(like)
    columns = [
        bound.numbers[name] if name in bound.numbers else torch.full((seeds,), own[name], dtype=torch.float64)
        for name in names
    ]
    return torch.stack([column.to(like) for column in columns], 1).detach() if columns else like.new_zeros(seeds, 0)
