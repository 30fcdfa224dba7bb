"""What is hidden of an episode, as a Gaussian over one vector: how a set gives it, samples, and what these predict."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mamlzoo import Batch, Learner, MetaParams, Noise
from mamlzoo_algorithms.gaussian_mixture import GaussianMixture
from mamlzoo_algorithms.point_sets import at_each, gaussian_of, mean_of, mean_there


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


def decoded(learner: Learner, meta: MetaParams, rows: Tensor, z: Tensor, least_sd: float) -> GaussianMixture:
    """What the decoder predicts for rows [n, numbers] with each of samples z [K, size]."""
    every = at_each(rows[:, None].expand(-1, len(z), -1), z)
    outputs = learner.predict(meta["decoder"], every.flatten(0, 1), "decoder")
    each = gaussian_of(outputs.unflatten(0, every.shape[:2]), least_sd)
    return GaussianMixture(each.mean, each.variance)


def negative_bound(
    prediction: GaussianMixture, query: Batch, posterior: LatentGaussian, prior: LatentGaussian
) -> tuple[Tensor, dict[str, Tensor]]:
    """Minus the evidence lower bound of the query targets, for each, by samples of the posterior; the divergence."""
    log_prob, divergence = prediction.log_probs(query.y).mean(-1), posterior.divergence(prior)
    loss = divergence / query.there.sum().clamp(min=1) - mean_there(log_prob, query.there)
    return loss, {"divergence": divergence}
