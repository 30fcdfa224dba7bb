"""Meta-SGD: meta-train the inner loop's rates too, one for every parameter."""

from __future__ import annotations

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, option


class MetaSGD(mamlzoo.GradientDescent):
    """MAML whose inner rates are meta-trained too, one for every single parameter.

    θ = {"network": parameters, "rates": α, of the same shapes}, and with ⊙ element by element

      φ₀ = θ,   φ_{t+1} = φ_t − α ⊙ ∇L_S(φ_t),   meta-loss(θ, α) = L_Q(φ_k).

    For one step the gradient by the rates is ∂meta-loss/∂α = −∇L_S(θ) ⊙ ∇L_Q(φ₁). Rates may turn negative.

    Reference: Li, Zhou, Chen, Li, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", 2017, Algorithm 1.
    """

    name = "meta-sgd"
    claims = frozenset({"query-loss"})
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)
    inner_lr: float = option(0.01, "initial rate of every parameter, α⁰")

    def init(self, networks: dict[str, Params]) -> MetaParams:
        rates = mamlzoo.tree_map(lambda value: torch.full_like(value, self.inner_lr), networks["network"])
        return {"network": networks["network"], "rates": rates}

    def adapt(self, learner: Learner, meta: MetaParams, fast: Params, support: Batch) -> Params:
        return mamlzoo.sgd(fast, learner.gradient(fast, support), meta["rates"])

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.loss(fast, episode.query), {}
