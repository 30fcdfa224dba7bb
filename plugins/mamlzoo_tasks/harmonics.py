"""Harmonics: sums of two sine waves, where each episode looks at its own part of the line."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, Split, option
from mamlzoo_tasks.regression import RegressionTask


class Harmonics(RegressionTask):
    """Regress a sum of two sine waves: y = a₁·sin(ω·x + b₁) + a₂·sin(2ω·x + b₂) + ε.

    For each episode ω ~ U(5, 7) by default, the phases b ~ U(0, 2π) and the amplitudes a ~ N(0, 1). Inputs are around a
    place of its own, x ~ N(m, 1) with m ~ U(−4, 4), and so are those of a test; noise lies on all targets but the
    test's. With `grid` a test is judged on so many even points from m − 2 to m + 2.

    Loss: mean squared error, which is E[y²] = 1 for who answers 0, before noise.

    Reference: Lacoste et al., "Uncertainty in Multitask Transfer Learning", 2018; the ranges as in the repository
    tristandeleu/pytorch-meta, which has no noise unless asked.
    """

    name = "harmonics"
    shots: int | Range = option(10, "support points of an episode, or a range to draw from, as 1..20", minimum=1)
    queries: int = option(10, "query points of a training episode", minimum=1)
    test_points: int = option(50, "points that a test episode is judged on", minimum=1)
    grid: int = option(0, "judge tests on so many even points instead; 0: no", minimum=0)
    noise: float = option(0.0, "standard deviation of noise on the targets, those of a test excepted", minimum=0)
    frequency_min: float = option(5.0, "smallest angular frequency ω", minimum=0)
    frequency_max: float = option(7.0, "largest angular frequency ω", minimum=0)
    place: float = option(4.0, "the inputs' middle m is uniform between minus this and this", minimum=0)

    spec = Spec(input_shape=(1,), output_size=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.frequency_min, self.frequency_max
        if low > high:
            raise mamlzoo.UsageError(
                f"task 'harmonics': frequency_min must not exceed frequency_max, {low:g} > {high:g}"
            )

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        def even(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=generator.device)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=generator.device)

        frequency = self.frequency_min + (self.frequency_max - self.frequency_min) * even(count, 1, 1)
        phase, amplitude = 2 * math.pi * even(count, 1, 2), normal(count, 1, 2)
        middle = self.place * (2 * even(count, 1, 1) - 1)

        def value(x: Tensor) -> Tensor:
            harmonic = torch.tensor([1.0, 2.0], device=x.device)
            return (amplitude * (harmonic * frequency * x + phase).sin()).sum(-1, keepdim=True)

        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        queries = self.queries if split == "train" else self.test_points
        x = middle + normal(count, shots + queries, 1)
        clean = value(x)
        noisy = clean + self.noise * normal(*clean.shape)
        support = Batch(x[:, :shots], noisy[:, :shots], mask)
        if split == "train":
            return Episode(support, Batch(x[:, shots:], noisy[:, shots:]))
        if self.grid:
            x = middle + torch.linspace(-2, 2, self.grid, device=x.device)[:, None]
            return Episode(support, Batch(x, value(x)))
        return Episode(support, Batch(x[:, shots:], clean[:, shots:]))

    def on_grid(self, points: int) -> Harmonics:
        """The same curves and support sets, judged on so many even points; for figures."""
        return dataclasses.replace(self, grid=points)
