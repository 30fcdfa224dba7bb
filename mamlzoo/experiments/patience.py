"""When validation says that training may end.

A seed's patience runs out with the first `patience` validations in a row of which none is better than its best before.
From then on its best stays what it is, whatever becomes of its θ while others are trained on: seeds that are trained
side by side end with the θ that each would end with alone. Training ends when every seed's patience has run out. A seed
that has diverged gets no better, so it is waited for as for any other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mamlzoo.experiments.checkpoint import ValidationRecord


def ran_out(validation: Sequence[ValidationRecord], patience: int | None, sign: float) -> NDArray[np.bool_]:
    """Whether each seed's patience has run out, [seeds]; empty before the first validation.

    Args:
        validation: all of them so far, in their order.
        patience: validations in a row; None: without end.
        sign: 1 where a metric grows as learning succeeds, −1 where it falls.
    """
    if not validation:
        return np.zeros(0, bool)
    seeds = len(validation[0].values)
    best, waited, out = np.full(seeds, np.nan), np.zeros(seeds, int), np.zeros(seeds, bool)
    for record in validation if patience is not None else ():
        values = sign * record.values
        with np.errstate(invalid="ignore"):
            better = (values > best) | (np.isnan(best) & ~np.isnan(values))
        best, waited = np.where(better, values, best), np.where(better, 0, waited + 1)
        out |= waited >= patience
    return out
