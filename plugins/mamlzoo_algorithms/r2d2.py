"""R2-D2: a ridge regression on learned features, in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.class_members import members, of_present, there_alone
from mamlzoo_algorithms.ridge import ridge_weights


class Head(NamedTuple):
    """φ: the last layer's weights [embedding, outputs], and of each output whether there is one, 1 or 0."""

    weights: Tensor
    present: Tensor


class R2D2(mamlzoo.CompleteAtOnce):
    """Fit the last layer to the support set by ridge regression, in closed form, and learn the features for it.

    The network f_θ gives `embedding` features; X are those of the support set, a row an example, and Y the targets, of
    classes 1 for the example's own and 0 for others:

      W = argmin ‖XW − Y‖² + λ‖W‖² = (XᵀX + λI)⁻¹·XᵀY = Xᵀ·(XXᵀ + λI)⁻¹·Y,
      prediction(x) = f_θ(x)ᵀW, of classes the logits α·f_θ(x)ᵀW,   meta-loss(θ, λ, α) = L_Q.

    The last form, by Woodbury's identity, is taken where the support set has fewer examples than there are features.
    The meta-gradient is the whole derivative, through the solution itself. λ > 0 and α > 0 are learned by their
    logarithms (in a regression α has no part); α⁰ is not 1, as outputs that are to be 0 and 1 would then be logits that
    tell hardly anything.

    A class without a support example has the logit −∞, and the others are as if it were not there.

    The paper adds a learned number β to all logits alike, which changes no probability of classes; it is left out. Its
    code divides the squared errors by their number, so that its λ is λ/n here, and adds a feature that is 1
    everywhere, which the network's last layer can give.

    Reference: Bertinetto, Henriques, Torr, Vedaldi, "Meta-learning with Differentiable Closed-Form Solvers", ICLR 2019,
    section 3.2.
    """

    name = "r2d2"
    embedding: int = option(32, "features that the last layer sees", minimum=1)
    ridge: float = option(1.0, "initial weight of ‖W‖², λ⁰", above=0)
    scale: float = option(10.0, "initial factor of the logits, α⁰", above=0)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        if spec.kind == "regression" and spec.target_shape != (spec.output_size,):
            raise mamlzoo.UsageError(
                f"algorithm '{self.name}' fits targets, and the task wants distributions; choose one that wants numbers"
            )
        return {"network": replace(spec, output_size=self.embedding, target_size=None)}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        logarithms = {
            "log_ridge": torch.tensor(math.log(self.ridge)),
            "log_scale": torch.tensor(math.log(self.scale)),
        }
        return networks | {"head": logarithms}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Head:
        features = there_alone(learner.predict(meta["network"], support.x, mask=support.mask), support)
        if learner.spec.kind == "classification":
            targets = members(support, learner.spec.output_size, features.dtype)
            present = targets.sum(0).clamp(max=1)
        else:
            targets = there_alone(support.y, support)
            present = torch.ones_like(targets[0])
        return Head(ridge_weights(features, targets, meta["head"]["log_ridge"].exp()), present)

    def embed(self, learner: Learner, meta: MetaParams, fast: Head, x: Tensor) -> Tensor:
        """f_θ(x), the features that the last layer sees."""
        return learner.predict(meta["network"], x)

    def predict(self, learner: Learner, meta: MetaParams, fast: Head, x: Tensor) -> Tensor:
        outputs = self.embed(learner, meta, fast, x) @ fast.weights
        if learner.spec.kind == "regression":
            return outputs
        return of_present(meta["head"]["log_scale"].exp() * outputs, fast.present)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        head = self.start(learner, meta, episode.support)
        logs = {name.removeprefix("log_"): value.detach().exp() for name, value in meta["head"].items()}
        return learner.loss_of(self.predict(learner, meta, head, episode.query.x), episode.query), logs
