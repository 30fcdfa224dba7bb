"""What families of curves have in common that are seen with noise and judged on a grid without."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, Split, option
from mamlzoo_tasks.regression import RegressionTask

LEFT, RIGHT = -5.0, 5.0
"""The ends of the inputs."""
Uniform = Callable[..., Tensor]
"""(low, high, *shape) -> numbers drawn between them."""


class NoisyCurves(RegressionTask):
    """Curves y = f(x) + ε at x ~ U(−5, 5): ε lies on support and training query targets, not on the grid of a test."""

    shots: int | Range = option(10, "support points of an episode, or a range to draw from, as 1..20", minimum=1)
    queries: int = option(10, "query points of a training episode", minimum=1)
    test_points: int = option(50, "grid points that a test episode is judged on", minimum=1)
    noise: float = option(0.0, "standard deviation of noise on the targets, the test grid's excepted", minimum=0)

    spec = Spec(input_shape=(1,), output_size=1)

    @abstractmethod
    def _functions(self, count: int, uniform: Uniform) -> Callable[[Tensor], Tensor]:
        """One of each episode, drawn: from inputs [count, n, 1] to values of that shape."""

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)

        value = self._functions(count, uniform)
        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        x = uniform(LEFT, RIGHT, count, shots + (self.queries if split == "train" else 0), 1)
        y = value(x)
        y = y + self.noise * torch.randn(y.shape, generator=generator, device=y.device)
        support = Batch(x[:, :shots], y[:, :shots], mask)
        if split == "train":
            return Episode(support, Batch(x[:, shots:], y[:, shots:]))
        grid = torch.linspace(LEFT, RIGHT, self.test_points, device=x.device)[:, None].repeat(count, 1, 1)
        return Episode(support, Batch(grid, value(grid)))

    def on_grid(self, points: int) -> Self:
        """The same functions and support sets, judged on so many points; for figures."""
        return dataclasses.replace(self, test_points=points)
