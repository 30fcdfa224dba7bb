"""The exact Gaussian process: what a learner could know at best of curves that one gave."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Gaussian, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.point_sets import nll_of, sizes_of


class Kernel(NamedTuple):
    """Length ℓ, scale s and period p, each [n, 1]: the same in all rows of an episode."""

    length: Tensor
    scale: Tensor
    period: Tensor


class Known(NamedTuple):
    """φ: the support inputs [n, inputs], L of L·Lᵀ = K + σ²·I [n, n], L⁻¹·y [n, targets], and who is no padding."""

    x: Tensor
    factor: Tensor
    whitened: Tensor
    there: Tensor


class ExactGP(mamlzoo.CompleteAtOnce):
    """The posterior of a Gaussian process whose kernel and noise are known: an oracle, with nothing to train.

    With K the kernel of the support inputs, K* that of them with x, and σ the standard deviation of the noise, a target
    at x is

      y(x) ~ N( K*ᵀ·(K + σ²·I)⁻¹·y,   k(x, x) − K*ᵀ·(K + σ²·I)⁻¹·K* + σ² ),

    its marginal, noise included. Of targets that such a process gave, no prediction has a higher log likelihood in the
    mean. The kernels, of the distance d, are `rbf` s²·exp(−d²/2ℓ²), `matern` s²·(1 + r + r²/3)·e⁻ʳ with r = √5·d/ℓ,
    `periodic` s²·exp(−2·sin²(πd/p)/ℓ²), and `weakly-periodic` s²·exp(−d²/2ℓ² − 2·sin²(πd/p)). Several numbers of a
    target are independent processes of one kernel.

    With `told` the last three inputs are log ℓ, log s and log p, as a task gives them that tells each episode's own
    (`gp` with `tell`), and the options for these are not used. Everything is computed in float64, since K is nearly
    singular where support points are close together. Padding has a row and a column of the identity. θ is ℓ, s, p and
    σ, and stays.

    Reference: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, Algorithm 2.1 and equations
    4.9, 4.17 and 4.31.
    """

    name = "exact-gp"
    claims = frozenset({"complete-at-once"})
    trains = False
    kernel: Literal["rbf", "matern", "periodic", "weakly-periodic"] = option("rbf", "how values at two inputs covary")
    length: float = option(0.25, "length of the kernel, ℓ", above=0)
    scale: float = option(1.0, "standard deviation of the curves, s", above=0)
    period: float = option(0.25, "period of the kernel, p", above=0)
    noise: float = option(math.sqrt(0.05), "standard deviation of noise on the targets, σ", above=0)
    told: bool = option(False, "take log length, log scale and log period from the last three inputs")

    def networks(self, spec: Spec) -> dict[str, Spec]:
        inputs, _ = sizes_of(self, spec)
        if self.told and inputs < 4:
            raise mamlzoo.UsageError(
                f"algorithm 'exact-gp' is told its kernel by three inputs behind x, and the task has {inputs} in all; "
                "give the task what tells it, as --task.tell true, or leave --algorithm.told away"
            )
        if self.kernel.endswith("periodic") and inputs - 3 * self.told != 1:
            raise mamlzoo.UsageError(
                f"algorithm 'exact-gp' has the {self.kernel} kernel on one input, and the task has "
                f"{inputs - 3 * self.told}; choose --algorithm.kernel rbf or matern"
            )
        return {}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        constants = {name: getattr(self, name) for name in (*Kernel._fields, "noise")}
        return {"prior": {name: torch.tensor(value, dtype=torch.float64) for name, value in constants.items()}}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Known:
        there = support.there
        pairs = there[:, None] & there
        covariance = self._covariance(meta, support.x, support.x).masked_fill(~pairs, 0)
        noise = torch.where(there, meta["prior"]["noise"].double().square(), 1.0)
        factor = torch.linalg.cholesky(covariance + noise.diag())
        target = support.y.double().masked_fill(~there[:, None], 0)
        return Known(support.x, factor, torch.linalg.solve_triangular(factor, target, upper=False), there)

    def predict(self, learner: Learner, meta: MetaParams, fast: Known, x: Tensor) -> Gaussian:
        covariance = self._covariance(meta, x, fast.x).masked_fill(~fast.there, 0)
        whitened = torch.linalg.solve_triangular(fast.factor, covariance.mT, upper=False)
        mean = whitened.mT @ fast.whitened
        noise = meta["prior"]["noise"].double()
        variance = self._kernel(meta, x)[1].scale.square() - whitened.square().sum(0)[:, None] + noise.square()
        return Gaussian(mean.to(x.dtype), variance.expand_as(mean).to(x.dtype))

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        known = self.start(learner, meta, episode.support)
        return nll_of(self.predict(learner, meta, known, episode.query.x), episode.query), {}

    def _kernel(self, meta: MetaParams, x: Tensor) -> tuple[Tensor, Kernel]:
        """Where the inputs lie, and the kernel that they tell, or that was chosen."""
        x = x.double()
        if self.told:
            return x[:, :-3], Kernel(*x[:, -3:].exp().split(1, -1))
        return x, Kernel(*(meta["prior"][name].double().expand(len(x), 1) for name in Kernel._fields))

    def _covariance(self, meta: MetaParams, one: Tensor, two: Tensor) -> Tensor:
        """k of inputs [n, inputs] with others, by the kernel of the former."""
        (one, kernel), (two, _) = self._kernel(meta, one), self._kernel(meta, two)
        squares = (one[:, None] - two).square().sum(-1)
        exponent = torch.zeros_like(squares)
        if self.kernel in ("rbf", "weakly-periodic"):
            exponent = squares / (2 * kernel.length.square())
        if self.kernel in ("periodic", "weakly-periodic"):
            wave = 2 * (math.pi * (one - two.mT) / kernel.period).sin().square()
            exponent = exponent + (wave / kernel.length.square() if self.kernel == "periodic" else wave)
        factor = torch.ones_like(squares)
        if self.kernel == "matern":
            exponent = (5 * squares).sqrt() / kernel.length
            factor = 1 + exponent + exponent.square() / 3
        return kernel.scale.square() * factor * (-exponent).exp()
