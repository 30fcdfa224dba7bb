"""LR-D2: a logistic regression on learned features, differentiated at its solution."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.class_members import members, of_present, require_classes, there_alone
from mamlzoo_algorithms.multinomial_logistic import logistic_weights


class Head(NamedTuple):
    """φ: the last layer's weights [embedding, N], of each class whether it is there, 1 or 0, and ‖∇E‖ behind them."""

    weights: Tensor
    present: Tensor
    unsolved: Tensor


class LRD2(mamlzoo.CompleteAtOnce):
    """Fit the last layer to the support set by logistic regression, to convergence, and learn the features for it.

    The network f_θ gives `embedding` features. On those of the support set a multinomial logistic regression with a
    ridge is solved, which is convex and has one solution,

      W = argmin E,   E(W) = Σ_i −log softmax(f_θ(x_i)ᵀW)[y_i] + λ/2·‖W‖²,
      logits(x) = α·f_θ(x)ᵀW,   meta-loss(θ, λ, α) = L_Q.

    Newton's method finds it in a few steps, none of which is differentiated: where ∇E(W; θ, λ) = 0, the implicit
    function theorem gives, with the Hessian H = ∇²E,

      dW/dθ = −H⁻¹·∂_θ ∇E(W; θ, λ),

    and that is the derivative of one further step from there with all else held constant, which is how it is computed.
    `unsolved` in the logs is ‖∇E‖ before that step: the derivative is as exact as it is small. λ > 0 and α > 0 are
    learned by their logarithms. The Hessian has embedding·N rows, so this is for few classes.

    A class without a support example has the logit −∞, and the others are as if it were not there.

    The paper solves a logistic regression of two classes by a fixed number of Newton steps (reweighted least squares),
    through which it differentiates, and its code makes more classes of several of these, one class against the others.
    Here the classes share one softmax, as they do in the loss, and the solution alone is differentiated, as MetaOptNet
    does (Lee et al., CVPR 2019, section 3.2).

    Reference: Bertinetto, Henriques, Torr, Vedaldi, "Meta-learning with Differentiable Closed-Form Solvers", ICLR 2019,
    section 3.3.
    """

    name = "lr-d2"
    embedding: int = option(16, "features that the last layer sees", minimum=1)
    newton_steps: int = option(8, "Newton steps to the solution", minimum=1)
    ridge: float = option(1.0, "initial weight of ‖W‖²/2, λ⁰", above=0)
    scale: float = option(1.0, "initial factor of the logits, α⁰", above=0)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        require_classes(self, spec, "fits a logistic regression")
        return {"network": replace(spec, output_size=self.embedding)}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        logarithms = {
            "log_ridge": torch.tensor(math.log(self.ridge)),
            "log_scale": torch.tensor(math.log(self.scale)),
        }
        return networks | {"head": logarithms}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Head:
        features = there_alone(learner.predict(meta["network"], support.x, mask=support.mask), support)
        targets = members(support, learner.spec.output_size, features.dtype)
        present, penalty = targets.sum(0).clamp(max=1), meta["head"]["log_ridge"].exp()
        weights, unsolved = logistic_weights(features, targets, present, penalty, self.newton_steps)
        return Head(weights, present, unsolved)

    def embed(self, learner: Learner, meta: MetaParams, fast: Head, x: Tensor) -> Tensor:
        """f_θ(x), the features that the last layer sees."""
        return learner.predict(meta["network"], x)

    def predict(self, learner: Learner, meta: MetaParams, fast: Head, x: Tensor) -> Tensor:
        logits = meta["head"]["log_scale"].exp() * (self.embed(learner, meta, fast, x) @ fast.weights)
        return of_present(logits, fast.present)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        head = self.start(learner, meta, episode.support)
        logs = {name.removeprefix("log_"): value.detach().exp() for name, value in meta["head"].items()}
        loss = learner.loss_of(self.predict(learner, meta, head, episode.query.x), episode.query)
        return loss, logs | {"unsolved": head.unsolved}
