"""Different numbers in random order, drawn for many sets at once."""

from __future__ import annotations

import torch
from torch import Tensor


def distinct(below: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """For each n of `below` [m], `count` different numbers from 0 to n − 1 in random order: [m, count].

    Where n is smaller than `count` there are n of them, and zeros behind. Time and memory do not grow with n.

    Reference: Floyd's algorithm, in Bentley and Floyd, "Programming pearls: a sample of brilliance", CACM 30(9), 1987.
    """
    there = below.clamp(max=count)
    chosen = below.new_empty(len(below), count)
    for at in range(count):
        last = below - there + at
        uniform = torch.rand(len(below), dtype=torch.float64, generator=generator, device=below.device)
        drawn = (uniform * (last + 1)).long()
        taken = (chosen[:, :at] == drawn[:, None]).any(1)
        chosen[:, at] = torch.where(taken, last, drawn)
    # Their set is uniform, their order is not.
    order = torch.rand(chosen.shape, generator=generator, device=below.device)
    behind = torch.arange(count, device=below.device) >= there[:, None]
    return chosen.gather(1, order.masked_fill(behind, 2).argsort(1)).masked_fill(behind, 0)
