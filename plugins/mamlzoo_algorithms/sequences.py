"""Support sets as sequences that a recurrent cell reads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def states(cell: Callable[[Tensor, Tensor], Tensor], rows: Tensor, there: Tensor, state: Tensor) -> Tensor:
    """A cell's state behind each of the rows [n, size], [n, state]; those that are not there leave it as it was.

    Args:
        cell: (row [1, size], state [1, state]) -> the next state.
        state: the first, [1, state].
    """
    found = []
    for row, counts in zip(rows.split(1), there.split(1), strict=True):
        state = torch.where(counts[:, None], cell(row, state), state)
        found.append(state)
    return torch.cat(found)
