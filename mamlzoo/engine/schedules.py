"""Schedules of the outer rate: a pure function of the meta-step, which multiplies the rate that a run is given.

With T meta-steps, of which the first w warm up, meta-step t = 0 … T − 1 is made with the rate η · s(t):

    warming up, t < w:   s(t) = (t + 1) / w                              Goyal et al., 2017, section 2.2
    after it, with u = (t − w) / (T − w), at most 1:
        constant         s(t) = 1
        linear           s(t) = 1 − (1 − f) u
        cosine           s(t) = f + (1 − f) (1 + cos(π u)) / 2           Loshchilov, Hutter, 2017, eq. 5
        step             s(t) = d^⌊(t − w) / n⌋

f is the final factor, which u = 1, just after the last meta-step, has; d and n are the decay's factor and how often it
comes. Equation 5, η_t = η_min + (η_max − η_min)(1 + cos(π T_cur / T_i)) / 2, is the cosine here with η_max = η,
η_min = f η, T_cur = t − w, T_i = T − w, and one period.

Reference: Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017. Goyal et al.,
"Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

Shape = Literal["constant", "cosine", "linear", "step"]
SHAPES: tuple[str, ...] = get_args(Shape)
DROPS = 3
"""In so many equal parts a step schedule cuts training, unless it is said how often the rate drops."""


@dataclass(frozen=True)
class Schedule:
    """What becomes of the outer rate in the course of training.

    Attributes:
        shape: how it falls after it has warmed up.
        warmup: meta-steps over which it grows to its full size, w.
        final_factor: of cosine and linear, what is left of it at the end, f.
        decay_every: of step, meta-steps between two drops, n; None: a third of all.
        decay_factor: of step, what each drop leaves of it, d.
    """

    shape: Shape = "constant"
    warmup: int = 0
    final_factor: float = 0.0
    decay_every: int | None = None
    decay_factor: float = 0.1

    def factor(self, step: int, iterations: int) -> float:
        """What the rate is multiplied by in meta-step `step` of `iterations`, s(t)."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        after = step - self.warmup
        if self.shape == "step":
            every = self.decay_every or max(1, iterations // DROPS)
            return float(self.decay_factor ** (after // every))
        done = min(1.0, after / max(1, iterations - self.warmup))
        if self.shape == "linear":
            return 1 - (1 - self.final_factor) * done
        if self.shape == "cosine":
            return self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * done)) / 2
        return 1.0


CONSTANT = Schedule()


def rates(lrs: Sequence[float], schedule: Schedule, iterations: int, first: int, last: int) -> Tensor:
    """The outer rates of meta-steps first … last − 1, [meta-steps, groups].

    In float64 and on the CPU: what torch's optimisers take for a rate is a Python number, and so is a row of this.

    Args:
        lrs: the full rate of each group of parameters that has one of its own.
    """
    rows = [[lr * schedule.factor(step, iterations) for lr in lrs] for step in range(first, last)]
    return torch.tensor(rows, dtype=torch.float64)
