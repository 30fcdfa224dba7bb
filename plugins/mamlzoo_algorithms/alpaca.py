"""ALPaCA: Bayesian linear regression on learned features."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

import mamlzoo
from mamlzoo import Batch, Episode, Gaussian, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.point_sets import nll_of


class Posterior(NamedTuple):
    """φ: what is believed of the last layer's weights W after the support set.

    Attributes:
        weights: their mean W̄, [features, targets].
        factor: C, lower triangular [features, features], of the precision LCCᵀLᵀ.
    """

    weights: Tensor
    factor: Tensor


class ALPaCA(mamlzoo.CompleteAtOnce):
    """Bayesian linear regression on learned features, whose prior is meta-learned with them.

    Targets are y = Wᵀf_θ(x) + ε, ε ~ N(0, σ²I) of known σ², and the columns of W are N(W̄₀, σ²Λ₀⁻¹). With Φ [n, d] the
    support set's features, one row a point, the posterior is of the same kind,

      Λ = Λ₀ + ΦᵀΦ,   W̄ = Λ⁻¹(Λ₀W̄₀ + Φᵀy) = W̄₀ + Λ⁻¹Φᵀ(y − ΦW̄₀),

    and what is predicted is N(W̄ᵀf_θ(x), σ²(1 + f_θ(x)ᵀΛ⁻¹f_θ(x))·I). The network, W̄₀ and Λ₀ = LLᵀ minimise

      meta-loss(θ) = mean over query points of −log p(y | x, S).

    It is computed in the prior's own units: with Ψ = ΦL⁻ᵀ is Λ = L(I + ΨᵀΨ)Lᵀ, and no eigenvalue of the matrix in
    brackets is below 1, so that float32 can factorise it as CCᵀ. The posterior of one point after another is the same.

    L is lower triangular with a positive diagonal here, in the authors' code any matrix; the features are the network's
    outputs, there behind a tanh. The paper takes the mean over support sets of any size, up to the largest: that is the
    task's to draw, as `task.shots` = 1..10.

    Reference: Harrison, Sharma, Pavone, "Meta-Learning Priors for Efficient Online Bayesian Regression", WAFR 2018,
    Algorithm 1.
    """

    name = "alpaca"
    claims = frozenset({"complete-at-once", "log-likelihood"})
    features: int = option(32, "features of an input, d", minimum=1)
    noise_variance: float = option(0.02, "variance of the noise on targets, σ²", above=0)

    def networks(self, spec: Spec) -> dict[str, Spec | mamlzoo.Builder]:
        if spec.kind != "regression":
            raise mamlzoo.UsageError(
                f"algorithm 'alpaca' is a linear regression on features, and the task is {spec.kind}; "
                "choose a regression task"
            )
        (targets,) = spec.target_shape
        return {
            "network": replace(spec, output_size=self.features),
            "mean": lambda: nn.Linear(self.features, targets, bias=False),  # W̄₀ is its weight, transposed
        }

    def init(self, networks: dict[str, Params]) -> MetaParams:
        # L's lower triangle, on its diagonal the logarithms.
        return networks | {"precision": {"factor": networks["mean"]["weight"].new_zeros(self.features, self.features)}}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Posterior:
        there = support.there[:, None]
        phi = learner.predict(meta["network"], support.x, mask=support.mask)
        residual = (support.y - learner.predict(meta["mean"], phi, "mean")).masked_fill(~there, 0)
        root = self._root(meta)
        psi = self._whitened(root, phi).masked_fill(~there, 0)
        factor = torch.linalg.cholesky(torch.eye(self.features, dtype=psi.dtype, device=psi.device) + psi.T @ psi)
        step = torch.cholesky_solve(psi.T @ residual, factor)
        moved = torch.linalg.solve_triangular(root.T, step, upper=True)
        return Posterior(meta["mean"]["weight"].T + moved, factor)

    def predict(self, learner: Learner, meta: MetaParams, fast: Posterior, x: Tensor) -> Gaussian:
        phi = learner.predict(meta["network"], x)
        mean = phi @ fast.weights
        psi = self._whitened(self._root(meta), phi)
        spread = 1 + torch.linalg.solve_triangular(fast.factor, psi.T, upper=False).square().sum(0)
        return Gaussian(mean, (self.noise_variance * spread)[:, None].expand(mean.shape))

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        posterior = self.start(learner, meta, episode.support)
        return nll_of(self.predict(learner, meta, posterior, episode.query.x), episode.query), {}

    @staticmethod
    def _root(meta: MetaParams) -> Tensor:
        """L."""
        stored = meta["precision"]["factor"]
        return stored.tril(-1) + stored.diagonal().exp().diag()

    @staticmethod
    def _whitened(root: Tensor, phi: Tensor) -> Tensor:
        """ΦL⁻ᵀ."""
        solved: Tensor = torch.linalg.solve_triangular(root, phi.T, upper=False)
        return solved.T
