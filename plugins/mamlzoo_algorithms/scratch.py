"""Scratch: no meta-training at all, the line that everything else must beat."""

from __future__ import annotations

from torch import Tensor

import mamlzoo
from mamlzoo import Episode, Learner, MetaParams


class Scratch(mamlzoo.GradientDescent):
    """No meta-training: fit each test episode from a random initialisation (the notebooks' 'random').

    θ stays as the model initialised it; φ takes gradient steps on the support loss:

      φ₀ = θ⁰,   φ_{t+1} = φ_t − α·∇L_S(φ_t).

    Reference: the training-from-scratch baseline of Finn, Abbeel, Levine, "Model-Agnostic Meta-Learning for Fast
    Adaptation of Deep Networks", ICML 2017, section 5.
    """

    name = "scratch"
    trains = False

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return learner.loss(meta["network"], episode.support), {}
