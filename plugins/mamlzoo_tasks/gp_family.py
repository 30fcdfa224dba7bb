"""What all tasks of curves of a Gaussian process share: options, kernels, noise and grids."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, Split, option
from mamlzoo_tasks.family import Family

JITTER = 1e-9
"""Of a curve's variance. In float64 a factor of a thousand points' covariance is found with less."""
AT_ONCE = 256
"""Covariances that are factorised together: a block of training episodes has thousands."""


class GPFamily(Family):
    """Curves f ~ GP(0, k) with noise, whatever the ranges: what `gp` and the papers' tasks of such curves share."""

    kernel: Literal["rbf", "matern", "periodic", "weakly-periodic"] = option("rbf", "how values at two inputs covary")
    shots: int | Range = option(Range(0, 30), "support points of an episode, or a range to draw from", minimum=0)
    queries: int = option(50, "query points of a training episode", minimum=1)
    test_points: int = option(50, "points that a test episode is judged on", minimum=1)
    grid: int = option(0, "judge tests on so many even points of the curve without noise instead; 0: no", minimum=0)
    noise: float = option(math.sqrt(0.05), "standard deviation of noise on the targets", minimum=0)
    length_min: float = option(0.25, "smallest length", above=0)
    length_max: float = option(0.25, "largest length", above=0)
    scale_min: float = option(1.0, "smallest standard deviation of the curve", above=0)
    scale_max: float = option(1.0, "largest standard deviation of the curve", above=0)
    period_min: float = option(0.25, "smallest period", above=0)
    period_max: float = option(0.25, "largest period", above=0)
    x_min: float = option(-2.0, "left end of the inputs")
    x_max: float = option(2.0, "right end of the inputs")
    tell: bool = option(False, "give log length, log scale and log period as further inputs")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("length", "scale", "period", "x"):
            low, high = getattr(self, f"{name}_min"), getattr(self, f"{name}_max")
            if low > high:
                raise mamlzoo.UsageError(
                    f"task '{self.name}': {name}_min must not exceed {name}_max, {low:g} > {high:g}"
                )

    @property
    def spec(self) -> Spec:
        return Spec(input_shape=(4 if self.tell else 1,), output_size=1)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        queries = self.queries if split == "train" else self.test_points
        drawn = _Drawn.of(self, count, generator)
        x = _uniform(generator, self.x_min, self.x_max, count, shots + queries, 1)
        white, noise = (_normal(generator, count, shots + queries, 1) for _ in range(2))
        even = 0 if split == "train" else self.grid
        if even:  # drawn last: the support sets are the same whatever the grid
            grid = torch.linspace(self.x_min, self.x_max, even, dtype=x.dtype, device=x.device)
            x = torch.cat([x, grid[:, None].expand(count, -1, -1)], 1)
            white = torch.cat([white, _normal(generator, count, even, 1)], 1)
        curve, inputs = self._curve(drawn, x, white), self._inputs(drawn, x)
        noisy = (curve[:, : shots + queries] + self._noise(drawn) * noise).float()
        support = Batch(inputs[:, :shots], noisy[:, :shots], mask)
        if even:
            return Episode(support, Batch(inputs[:, -even:], curve[:, -even:].float()))
        return Episode(support, Batch(inputs[:, shots:], noisy[:, shots:]))

    def on_grid(self, points: int) -> Self:
        """The same curves and support sets, judged on so many even points; for figures."""
        return dataclasses.replace(self, grid=points)

    def _curve(self, drawn: _Drawn, x: Tensor, white: Tensor) -> Tensor:
        """L·white at inputs [count, n, 1], where L·Lᵀ is the covariance there and a jitter."""
        parts = []
        for at in range(0, len(x), AT_ONCE):
            own, points = _Drawn(*(part[at : at + AT_ONCE] for part in drawn)), x[at : at + AT_ONCE]
            covariance = self._covariance(own, (points - points.mT).abs())
            jitter = JITTER * own.scale.square() * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
            parts.append(torch.linalg.cholesky(covariance + jitter) @ white[at : at + AT_ONCE])
        return torch.cat(parts)

    def _covariance(self, drawn: _Drawn, distance: Tensor) -> Tensor:
        length, scale, period = drawn
        if self.kernel == "matern":
            r = math.sqrt(5) * distance / length
            return scale.square() * (1 + r + r.square() / 3) * (-r).exp()
        smooth = (distance / length).square() / 2
        wave = 2 * (math.pi * distance / period).sin().square()
        exponent = {"rbf": smooth, "periodic": wave / length.square(), "weakly-periodic": smooth + wave}[self.kernel]
        return scale.square() * (-exponent).exp()

    def _noise(self, drawn: _Drawn) -> Tensor:
        """What noise is left to add: the jitter is some of it already."""
        return (self.noise**2 - JITTER * drawn.scale.square()).clamp(min=0).sqrt()

    def _inputs(self, drawn: _Drawn, x: Tensor) -> Tensor:
        told = [part.log().expand_as(x) for part in drawn] if self.tell else []
        return torch.cat([x, *told], -1).float()


class _Drawn(NamedTuple):
    """What was drawn of each episode's kernel, each [count, 1, 1]."""

    length: Tensor
    scale: Tensor
    period: Tensor

    @classmethod
    def of(cls, task: GPFamily, count: int, generator: torch.Generator) -> _Drawn:
        return cls(
            _uniform(generator, task.length_min, task.length_max, count, 1, 1),
            _uniform(generator, task.scale_min, task.scale_max, count, 1, 1),
            _uniform(generator, task.period_min, task.period_max, count, 1, 1),
        )


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    drawn = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    return low + (high - low) * drawn


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float64)
