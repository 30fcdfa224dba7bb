"""Sines and lines: a family of two kinds, where a few points do not always tell which."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Range, option
from mamlzoo_tasks.noisy_curves import NoisyCurves, Uniform


class SineOrLine(NoisyCurves):
    """Regress a function that is a sine wave or a line, one as likely as the other.

      y = A·sin(x − φ) + ε,  A ~ U(0.1, 5), φ ~ U(0, π),   or   y = s·x + c + ε,  s, c ~ U(−3, 3).

    x ~ U(−5, 5), and ε ~ N(0, 0.3²) on support and training query targets. A test is judged on a grid of `test-points`
    even inputs without noise. Of few points both kinds are possible, so that a mean between them can be the best
    prediction and a poor one for every function that there is.

    Loss: mean squared error. The paper says amplitudes from 0.1, its code from 1 (`amplitude-min`); it has 5 shots.

    Reference: Finn, Xu, Levine, "Probabilistic Model-Agnostic Meta-Learning", NeurIPS 2018, section 6, remembered and
    found in two later implementations of its ranges.
    """

    name = "sine-or-line"
    shots: int | Range = option(5, "support points of an episode, or a range to draw from, as 1..20", minimum=1)
    noise: float = option(0.3, "standard deviation of noise on the targets, the test grid's excepted", minimum=0)
    lines: float = option(0.5, "fraction of the episodes that are lines", minimum=0, maximum=1)
    amplitude_min: float = option(0.1, "smallest amplitude of a sine", minimum=0)
    amplitude_max: float = option(5.0, "largest amplitude of a sine", minimum=0)
    slope: float = option(3.0, "slopes and intercepts of lines are uniform between minus this and this", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.amplitude_min, self.amplitude_max
        if low > high:
            raise mamlzoo.UsageError(
                f"task 'sine-or-line': amplitude_min must not exceed amplitude_max, {low:g} > {high:g}"
            )

    def _functions(self, count: int, uniform: Uniform) -> Callable[[Tensor], Tensor]:
        is_line = uniform(0, 1, count, 1, 1) < self.lines
        amplitude = uniform(self.amplitude_min, self.amplitude_max, count, 1, 1)
        phase = uniform(0, math.pi, count, 1, 1)
        slope, intercept = uniform(-self.slope, self.slope, 2, count, 1, 1)
        return lambda x: torch.where(is_line, slope * x + intercept, amplitude * (x - phase).sin())
