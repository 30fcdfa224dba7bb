"""Whether nearby numbers give nearby results.

Numbers that are moved by h to one side and to the other give f(+h) + f(−h) − 2·f(0), which is h²·f″ where f is smooth
and about h where it has a kink. Noise made of the numbers themselves, as a hash of them, is as large as it is however
small h is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.testing.checks import require

T = TypeVar("T")
MOVED = 1e-6
"""How far each number is moved, relative to it."""
LARGEST = 1e-5
"""The most that results may jump, relative to their largest: a kink gives MOVED times a slope."""
DIRECTIONS = 3


def require_continuous(what: str, function: Callable[[T], Tensor], given: T) -> None:
    """Raise a FaultError where the results for numbers nearby jump.

    Args:
        what: the results, in words.
        given: numbers in float64, nested; what is no floating-point number stays.
    """
    still = function(given).detach()
    if not torch.equal(still, function(given)):  # it is no function, which has a check of its own
        return
    scale = max(1.0, float(still.abs().max()))
    for seed in range(DIRECTIONS):
        one, two = (function(_moved(given, step, seed)).detach() for step in (MOVED, -MOVED))
        jump = float((one + two - 2 * still).abs().max())
        require(
            not jump > LARGEST * scale,  # NaN has checks of its own
            f"{what} jumps by {jump:.1e} where what it is made of moves by a millionth",
        )


def _moved(given: T, step: float, seed: int) -> T:
    generator = torch.Generator().manual_seed(seed)

    def moved(leaf: Tensor) -> Tensor:
        if not leaf.is_floating_point():
            return leaf
        share = 2 * torch.rand(leaf.shape, generator=generator, dtype=leaf.dtype) - 1
        return leaf * (1 + step * share)

    return trees.tree_map(moved, given)
