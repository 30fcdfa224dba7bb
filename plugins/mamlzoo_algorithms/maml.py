"""MAML: learn an initialisation from which a few gradient steps go far."""

from __future__ import annotations

from torch import Tensor

import mamlzoo
from mamlzoo import Episode, Learner, MetaParams, option


class MAML(mamlzoo.GradientDescent):
    """Model-agnostic meta-learning: an initialisation from which a few gradient steps go far.

    Adaptation is gradient descent on the support loss from θ, and θ minimises the query loss behind it:

      φ₀ = θ,   φ_{t+1} = φ_t − α·∇L_S(φ_t),   meta-loss(θ) = L_Q(φ_k).

    The meta-gradient goes through every step. With H_t the Hessian of L_S at φ_t,

      ∇_θ meta-loss = (I − αH₀)(I − αH₁) … (I − αH_{k−1}) · ∇L_Q(φ_k),

    which costs Hessian-vector products, never a Hessian. Where `inner_optimizer`, `inner_clip` or `adapts` ask for
    other steps, the derivatives of these are the factors.

    Reference: Finn, Abbeel, Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML 2017, Algorithm 1.
    """

    name = "maml"
    claims = frozenset({"query-loss"})
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.loss(fast, episode.query), {}
