"""Transfer: train one network on every episode's data at once, then fine-tune it."""

from __future__ import annotations

from torch import Tensor

import mamlzoo
from mamlzoo import Episode, Learner, MetaParams


class Transfer(mamlzoo.GradientDescent):
    """Plain joint pre-training on every episode's support set, then fine-tuning at test.

    Nothing is adapted in training: the meta-loss is the support loss at θ itself,

      meta-loss(θ) = L_S(θ),   ∇_θ meta-loss = ∇L_S(θ).

    With squared errors θ tends to the mean of the targets over all episodes, x ↦ E[y | x]; for the sine family with
    full phases that mean is 0 everywhere. At test, φ takes gradient steps on the support loss, as MAML's does:

      φ₀ = θ,   φ_{t+1} = φ_t − α·∇L_S(φ_t).

    Reference: the pre-trained baseline of Finn, Abbeel, Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of
    Deep Networks", ICML 2017, section 5.1.
    """

    name = "transfer"

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return learner.loss(meta["network"], episode.support), {}
