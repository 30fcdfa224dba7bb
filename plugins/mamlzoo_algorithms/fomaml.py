"""First-order MAML: MAML with the second derivatives left out."""

from __future__ import annotations

from torch import Tensor

import mamlzoo
from mamlzoo import Episode, Learner, MetaParams, option


class FOMAML(mamlzoo.GradientDescent):
    """First-order MAML: the adaptation's own derivative is taken to be the identity.

    Adaptation is MAML's; in training every inner gradient is a constant (sg, stop-gradient):

      φ₀ = θ,   φ_{t+1} = φ_t − α·sg(∇L_S(φ_t)),   meta-loss(θ) = L_Q(φ_k).

    So φ_k = θ − constant, ∂φ_k/∂θ = I, and the meta-gradient is the query gradient at the adapted parameters,

      ∇_θ meta-loss = ∇L_Q(φ_k),

    MAML's product without the factors I − αH_t. Another inner optimiser's steps are functions of such gradients alone,
    so of them it is the same.

    Reference: Finn, Abbeel, Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML 2017, section 5.2.
    """

    name = "fomaml"
    claims = frozenset({"query-loss"})
    order = "first-order"
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fast = self.start(learner, meta, episode.support)
        for _ in range(self.inner_steps):
            # Stopped before it is differentiated, the inner gradient is a constant and its graph is never built.
            gradient = self.inner_gradient(learner, mamlzoo.stop_gradient(fast), episode.support)
            fast = self.descend(fast, gradient)
        return learner.loss(fast, episode.query), {}
