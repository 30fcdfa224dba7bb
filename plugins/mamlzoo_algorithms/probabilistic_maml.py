"""Probabilistic MAML: adapt from samples of a learned Gaussian over initialisations."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Categorical, Episode, Gaussian, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.latent_gaussian import LatentGaussian

Samples = Mapping[str, Params]
"""φ: the parameters of each sample, by its number."""


class ProbabilisticMAML(mamlzoo.MetaAlgorithm):
    """PLATIPUS: adapt from samples of a learned Gaussian over initialisations; predict by all of them.

    θ = {"network": μ, "spread": log σ, "posterior": log v, "rates": γ_p and γ_q}. An initialisation ψ has a prior that
    has seen the support set, and in training an approximate posterior that has seen the query set, both Gaussian with
    independent numbers:

      p(ψ | S) = N(μ − γ_p·∇L_S(μ), σ²),   q(ψ | Q) = N(μ − γ_q·∇L_Q(μ), v²).

    From a sample of either, k steps of gradient descent lead to φ: φ₀ = ψ, φ_{t+1} = φ_t − α·∇L_S(φ_t). In training
    ψ = mean of q + v ⊙ ε, ε ~ N(0, I), and what is minimised is the variational bound on −log p(y_Q | S), per target:

      meta-loss(θ) = L_Q(φ_k) + w/n·KL(q(ψ | Q) ‖ p(ψ | S)),
      KL = Σ_j [log(σ_j/v_j) + (v_j² + (q's mean − p's mean)_j²)/(2σ_j²) − ½].

    At test `samples` ψ ~ p(ψ | S) adapt, each by itself, and predictions are their mixture. Of classes, whose loss is
    −log p, w is 1. A regression's loss is taken for the mean squared error of targets ~ N(output, s²), s = `noise`:
    then −log p is the squared error / 2s², so w = 2s² / (targets of a point) makes the meta-loss that bound times 2s²,
    and a prediction has the variance s² + the variance of the samples' outputs.

    Deviations: γ_p and γ_q are each one number, which starts at α, and σ and v start at `spread`.

    Reference: Finn, Xu, Levine, "Probabilistic Model-Agnostic Meta-Learning", NeurIPS 2018, Algorithms 1 and 2.
    """

    name = "probabilistic-maml"
    honours_masks = True
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)
    inner_lr: float = option(0.01, "rate of an adaptation step, α; γ_p and γ_q start there", minimum=0)
    samples: int = option(10, "initialisations that adapt at test", minimum=1)
    spread: float = option(0.05, "standard deviation of initialisations at the start, σ and v", above=0)
    noise: float = option(0.3, "standard deviation of a regression's targets around a sample's output, s", above=0)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        if spec.target_size not in (None, spec.output_size):
            raise mamlzoo.UsageError(
                f"algorithm '{self.name}' predicts points and its own uncertainty, and the task reads the network's "
                "outputs as a distribution; choose a task whose outputs are points"
            )
        return {"network": spec}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        means = networks["network"]
        logs = {name: torch.full_like(value, math.log(self.spread)) for name, value in means.items()}
        rate = next(iter(means.values())).new_tensor(self.inner_lr)
        return {
            "network": means,
            "spread": logs,
            "posterior": {name: value.clone() for name, value in logs.items()},
            "rates": {"prior": rate, "posterior": rate.clone()},
        }

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Samples:
        mean = _moved(learner, meta, support, "prior")
        return {f"sample {at}": _drawn(learner, mean, meta["spread"]) for at in range(self.samples)}

    def adapt(self, learner: Learner, meta: MetaParams, fast: Samples, support: Batch) -> Samples:
        return {at: self._step(learner, params, support) for at, params in fast.items()}

    def _step(self, learner: Learner, params: Params, support: Batch) -> Params:
        return mamlzoo.sgd(params, learner.gradient(params, support), self.inner_lr)

    def predict(self, learner: Learner, meta: MetaParams, fast: Samples, x: Tensor) -> Gaussian | Categorical:
        outputs = torch.stack([learner.predict(params, x) for params in fast.values()])
        if learner.spec.kind == "classification":
            return Categorical(outputs).mixed()
        return Gaussian(outputs, torch.zeros_like(outputs) + self.noise**2).mixed()

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        support, query = episode
        mean = _moved(learner, meta, query, "posterior")
        params = _drawn(learner, mean, meta["posterior"])
        for _ in range(self.inner_steps):
            params = self._step(learner.branch(), params, support)
        loss = learner.loss(params, query)
        divergence = _divergence(mean, meta["posterior"], _moved(learner, meta, support, "prior"), meta["spread"])
        weight = 1.0 if learner.spec.kind == "classification" else 2 * self.noise**2 / learner.spec.output_size
        total = loss + weight * divergence / query.there.sum().clamp(min=1)
        return total, {"query_loss": loss, "divergence": divergence}


def _moved(learner: Learner, meta: MetaParams, batch: Batch, rate: str) -> Params:
    """The mean of the initialisations' distribution once it has seen a set."""
    means = meta["network"]
    return mamlzoo.sgd(means, learner.gradient(means, batch), dict.fromkeys(means, meta["rates"][rate]))


def _drawn(learner: Learner, mean: Params, log_sd: Params) -> Params:
    """A sample of the Gaussian."""
    # One draw for all parameters: one for each would make compiled programs longer.
    sizes = [value.numel() for value in mean.values()]
    parts = learner.noise.normal(sum(sizes)).split(sizes)
    return {
        name: value + log_sd[name].exp() * part.reshape(value.shape)
        for (name, value), part in zip(mean.items(), parts, strict=True)
    }


def _divergence(mean: Params, log_sd: Params, prior_mean: Params, prior_log_sd: Params) -> Tensor:
    """KL of a Gaussian with independent numbers from another, over all parameters."""
    one = {name: LatentGaussian(value, log_sd[name].exp()) for name, value in mean.items()}
    other = {name: LatentGaussian(value, prior_log_sd[name].exp()) for name, value in prior_mean.items()}
    return torch.stack([own.divergence(other[name]) for name, own in one.items()]).sum()
