"""Prototypical networks: classify by the nearest class mean in a learned space."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, Spec, option


class Prototypes(NamedTuple):
    """φ: the class means [N, embedding], and of each class whether the support set has a point of it, 1 or 0, [N]."""

    means: Tensor
    present: Tensor


class ProtoNet(mamlzoo.MetaAlgorithm):
    """Classify by the nearest class mean in a learned space; nothing is fitted to an episode by gradients.

    The network f_θ embeds inputs into `embedding` dimensions. A class's prototype is the mean of its embedded support
    points, and the logits are negative squared distances:

      c_k = mean of f_θ(x) over support points of class k,   logits_k(x) = −‖f_θ(x) − c_k‖²,
      meta-loss(θ) = L_Q, the task's loss of these logits.

    A class without a support point has no prototype: its logit is −∞, its probability 0, and the others are as if it
    were not there.

    Adaptation is complete before the first step, so all further steps leave φ = (c_1 … c_N) as it is.

    Reference: Snell, Swersky, Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017, Algorithm 1.
    """

    name = "protonet"
    claims = frozenset({"query-loss", "complete-at-once"})
    honours_masks = True
    embedding: int = option(32, "dimensions of the space that inputs are embedded in", minimum=1)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        if spec.kind != "classification":
            raise mamlzoo.UsageError(
                f"algorithm 'protonet' classifies by class means, and the task is {spec.kind}; "
                "choose a classification task"
            )
        return {"network": replace(spec, output_size=self.embedding)}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Prototypes:
        embedded = learner.predict(meta["network"], support.x, mask=support.mask)
        member = functional.one_hot(support.y, learner.spec.output_size).to(embedded.dtype)
        if support.mask is not None:  # padding belongs to no class
            embedded, member = (rows.masked_fill(~support.mask[:, None], 0) for rows in (embedded, member))
        count = member.sum(0)
        return Prototypes(member.T @ embedded / count.clamp(min=1)[:, None], count.clamp(max=1))

    def adapt(self, learner: Learner, meta: MetaParams, fast: Prototypes, support: Batch) -> Prototypes:
        return fast

    def predict(self, learner: Learner, meta: MetaParams, fast: Prototypes, x: Tensor) -> Tensor:
        embedded = learner.predict(meta["network"], x)
        logits = -(embedded[:, None] - fast.means).square().sum(-1)
        # Not a prototype at infinity, whose squared distance has the gradient ∞ · 0.
        return logits.masked_fill(fast.present == 0, -math.inf)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        prototypes = self.start(learner, meta, episode.support)
        logits = self.predict(learner, meta, prototypes, episode.query.x)
        return learner.loss_of(logits, episode.query), {}
