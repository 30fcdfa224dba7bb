"""A mixture of Gaussians, with which samples of something hidden predict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import torch
from torch import Tensor
from torch.special import ndtr

from mamlzoo import Distribution

HALVINGS = 16
"""Of the interval in which a quantile is looked for: its error is less than a hundred thousandth of that."""


class GaussianMixture(Distribution):
    """Of each example's target the mixture of K Gaussians, one for each sample z_k of what is hidden.

    p(y | x) = mean over k of N(y; μ_k(x), σ_k²(x)), where the numbers of one target are independent given z_k. All
    examples have the same samples, so that together they have more to say than one by one, `joint nll`:

      nll = −log mean_k p(y_i | z_k),   joint nll = −(1/n)·log mean_k Π_j p(y_j | z_k).

    Attributes:
        means, variances: each [n, K, targets].
    """

    means: Tensor
    variances: Tensor

    @property
    def points(self) -> Tensor:
        """The mixture's mean, [n, targets]."""
        return self.means.mean(-2)

    def log_probs(self, target: Tensor) -> Tensor:
        """log p(y | z_k) of targets [n, targets], [n, K]."""
        squares = (target.unsqueeze(-2) - self.means).square() / self.variances
        return -(squares + self.variances.log() + math.log(2 * math.pi)).sum(-1) / 2

    def scores(self, target: Tensor) -> dict[str, Tensor]:
        """The negative log likelihood of each target, and that of all together for each of them."""
        each = self.log_probs(target)
        n, samples = each.shape[-2:]
        joint = (each.sum(-2).logsumexp(-1) - math.log(samples)) / n
        return {
            "nll": math.log(samples) - each.logsumexp(-1),
            "joint nll": -joint.unsqueeze(-1).expand(each.shape[:-1]),
        }

    @property
    def known_levels(self) -> Sequence[float]:
        """5%, 10%, …, 95%."""
        return tuple(at / 20 for at in range(1, 20))

    def quantile(self, level: float) -> Tensor:
        """By halving the interval between the least and the largest of the K Gaussians' own quantiles."""
        own = self.means + self.variances.sqrt() * NormalDist().inv_cdf(level)
        low, high = own.amin(-2), own.amax(-2)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = ndtr((middle.unsqueeze(-2) - self.means) / self.variances.sqrt()).mean(-2) < level
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2
