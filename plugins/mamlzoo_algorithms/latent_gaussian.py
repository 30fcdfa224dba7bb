"""What is hidden of an episode, as a Gaussian over one vector: how a set gives it, samples, and how two differ."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mamlzoo import Noise
from mamlzoo_algorithms.point_sets import mean_of


class LatentGaussian(NamedTuple):
    """q(z) = N(μ, diag σ²): mean and sd, each [size]."""

    mean: Tensor
    sd: Tensor

    @classmethod
    def of(cls, rows: Tensor, there: Tensor) -> LatentGaussian:
        """From rows [n, 2·size], one a point: (μ, s) is their mean, and σ = 0.1 + 0.9·sigmoid(s)."""
        mean, free = mean_of(rows, there).chunk(2)
        return cls(mean, 0.1 + 0.9 * torch.sigmoid(free))

    def samples(self, count: int, noise: Noise) -> Tensor:
        """z = μ + σ·ε with ε ~ N(0, I), through which derivatives flow, [count, size]."""
        return self.mean + self.sd * noise.normal(count, len(self.mean))

    def divergence(self, other: LatentGaussian) -> Tensor:
        """KL(q ‖ q′) = Σ log σ′/σ + (σ² + (μ − μ′)²)/2σ′² − ½."""
        squares = (self.sd.square() + (self.mean - other.mean).square()) / (2 * other.sd.square())
        return ((other.sd / self.sd).log() + squares - 0.5).sum()
