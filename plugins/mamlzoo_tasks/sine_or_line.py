"""Sines and lines: a family of two kinds, where a few points do not always tell which."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, Split, option


class SineOrLine(mamlzoo.Task):
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
    queries: int = option(10, "query points of a training episode", minimum=1)
    test_points: int = option(50, "grid points that a test episode is judged on", minimum=1)
    noise: float = option(0.3, "standard deviation of noise on the targets, the test grid's excepted", minimum=0)
    lines: float = option(0.5, "fraction of the episodes that are lines", minimum=0, maximum=1)
    amplitude_min: float = option(0.1, "smallest amplitude of a sine", minimum=0)
    amplitude_max: float = option(5.0, "largest amplitude of a sine", minimum=0)
    slope: float = option(3.0, "slopes and intercepts of lines are uniform between minus this and this", minimum=0)

    spec = Spec(input_shape=(1,), output_size=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.amplitude_min, self.amplitude_max
        if low > high:
            raise mamlzoo.UsageError(
                f"task 'sine-or-line': amplitude_min must not exceed amplitude_max, {low:g} > {high:g}"
            )

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        def even(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)

        is_line = even(0, 1, count, 1, 1) < self.lines
        amplitude, phase = even(self.amplitude_min, self.amplitude_max, count, 1, 1), even(0, math.pi, count, 1, 1)
        slope, intercept = even(-self.slope, self.slope, 2, count, 1, 1)

        def value(x: Tensor) -> Tensor:
            return torch.where(is_line, slope * x + intercept, amplitude * (x - phase).sin())

        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        x = even(-5, 5, count, shots + (self.queries if split == "train" else 0), 1)
        y = value(x)
        y = y + self.noise * torch.randn(y.shape, generator=generator, device=y.device)
        support = Batch(x[:, :shots], y[:, :shots], mask)
        if split == "train":
            return Episode(support, Batch(x[:, shots:], y[:, shots:]))
        grid = torch.linspace(-5, 5, self.test_points, device=x.device)[:, None].repeat(count, 1, 1)
        return Episode(support, Batch(grid, value(grid)))

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square().mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"mse": self.loss(prediction, target)}

    def on_grid(self, points: int) -> SineOrLine:
        """The same functions and support sets, judged on so many points; for figures."""
        return dataclasses.replace(self, test_points=points)
