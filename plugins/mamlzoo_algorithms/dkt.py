"""Deep kernel transfer: a Gaussian process on learned features."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Gaussian, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms import kernels

SMALLEST_NOISE = 1e-5
"""Of the kernel's weight: float32 can factorise the matrix of some hundred points with it."""


class Conditioned(NamedTuple):
    """φ: the support set, its features and what the process makes of them.

    Attributes:
        embedded: features [n, embedding].
        factor: of K + σ²I, lower triangular [n, n].
        weights: (K + σ²I)⁻¹(y − m), [n, targets].
        there: which of the n points are no padding.
    """

    embedded: Tensor
    factor: Tensor
    weights: Tensor
    there: Tensor


class DKT(mamlzoo.CompleteAtOnce):
    """Deep kernel transfer: a Gaussian process on learned features, whose kernel all episodes share.

    An episode's function is drawn from a Gaussian process whose kernel compares the features f_θ of inputs,
    y = m + g(x) + ε, g ~ GP(0, k(f_θ(·), f_θ(·))), ε ~ N(0, σ²). A support set S conditions it; with K the kernel's
    matrix of S and k_x the kernel of x with S,

      mean(x) = m + k_xᵀ(K + σ²I)⁻¹(y_S − m),
      variance(x) = k(x, x) + σ² − k_xᵀ(K + σ²I)⁻¹k_x.

    Nothing is fitted to an episode: network, kernel, m and σ² maximise the marginal likelihood of all its n points,

      meta-loss(θ) = −log N(y; m, K + σ²I) / n = (‖L⁻¹(y − m)‖² + 2·Σᵢ log Lᵢᵢ + n·log 2π) / 2n,   S and Q in one,

    where LLᵀ = K + σ²I. Several targets are independent processes with one kernel, and their log likelihoods are added.

    The kernel is `linear`, `rbf` or `spectral`, a mixture of `components` in the spectrum. Here its components start at
    frequencies that are spread; in the authors' code they start alike, and so stay one. The features are the network's
    outputs, there rectified ones; σ² is 10⁻⁵ of the kernel's weight at least, so that float32 can factorise the matrix.

    Reference: Patacchiola, Turner, Crowley, O'Boyle, Storkey, "Bayesian Meta-Learning for the Few-Shot Setting via Deep
    Kernels", NeurIPS 2020, section 3.1 and Algorithm 1.
    """

    name = "dkt"
    claims = frozenset({"complete-at-once", "log-likelihood"})
    kernel: Literal["linear", "rbf", "spectral"] = option("rbf", "what compares features")
    embedding: int = option(40, "features of an input", minimum=1)
    components: int = option(4, "components of the spectral kernel", minimum=1)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        if spec.kind != "regression":
            raise mamlzoo.UsageError(
                f"algorithm 'dkt' is a Gaussian process of numbers, and the task is {spec.kind}; "
                "choose a regression task"
            )
        return {"network": replace(spec, output_size=self.embedding)}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        own = kernels.initial(self.kernel, self.embedding, self.components)
        own |= {"log_noise": torch.tensor(0.1).log(), "mean": torch.zeros(())}
        like = next(iter(networks["network"].values()), own["mean"])
        return networks | {"kernel": {name: value.to(like) for name, value in own.items()}}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Conditioned:
        embedded = learner.predict(meta["network"], support.x, mask=support.mask)
        factor, centred = self._factor(meta["kernel"], embedded, support)
        return Conditioned(embedded, factor, torch.cholesky_solve(centred, factor), support.there)

    def predict(self, learner: Learner, meta: MetaParams, fast: Conditioned, x: Tensor) -> Gaussian:
        own, embedded = meta["kernel"], learner.predict(meta["network"], x)
        across = self._kernel(own, embedded[:, None], fast.embedded).masked_fill(~fast.there, 0)
        known = torch.linalg.solve_triangular(fast.factor, across.T, upper=False).square().sum(0)
        # What is left cannot be negative, but for rounding.
        variance = (self._kernel(own, embedded, embedded) - known).clamp(min=0) + _noise(own)
        mean = own["mean"] + across @ fast.weights
        return Gaussian(mean, variance[:, None].expand(mean.shape))

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        both, own = episode.support.joined(episode.query), meta["kernel"]
        factor, centred = self._factor(own, learner.predict(meta["network"], both.x, mask=both.mask), both)
        whitened = torch.linalg.solve_triangular(factor, centred, upper=False)
        n, targets = both.there.sum().clamp(min=1), centred.shape[1]
        log_determinant = 2 * factor.diagonal().log().sum()
        loss = (whitened.square().sum() + targets * log_determinant) / (2 * n) + targets * math.log(2 * math.pi) / 2
        return loss, {"noise": _noise(own).sqrt()}

    def _factor(self, own: Params, embedded: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of K + σ²I, in which padding is points of variance 1 that depend on no other, and y − m, there 0."""
        there = batch.there
        matrix = self._kernel(own, embedded[:, None], embedded).masked_fill(~(there[:, None] & there), 0)
        noise = torch.where(there, _noise(own), 1)
        centred = (batch.y - own["mean"]).masked_fill(~there[:, None], 0)
        return torch.linalg.cholesky(matrix + noise.diag()), centred

    def _kernel(self, own: Params, a: Tensor, b: Tensor) -> Tensor:
        return kernels.KERNELS[self.kernel](own, a, b)


def _noise(own: Params) -> Tensor:
    """σ²."""
    return own["log_noise"].exp() + SMALLEST_NOISE * own["log_weight"].exp().sum()
