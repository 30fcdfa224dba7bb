"""Prototypical networks: classify by the nearest class mean in a learned space."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Learner, MetaParams, Spec, option
from mamlzoo_algorithms.class_members import class_means, of_present, require_classes


class Prototypes(NamedTuple):
    """φ: the class means [N, embedding], and of each class whether the support set has a point of it, 1 or 0, [N]."""

    means: Tensor
    present: Tensor


class ProtoNet(mamlzoo.CompleteAtOnce):
    """Classify by the nearest class mean in a learned space; nothing is fitted to an episode by gradients.

    The network f_θ embeds inputs into `embedding` dimensions. A class's prototype is the mean of its embedded support
    points, and the logits are negative squared distances:

      c_k = mean of f_θ(x) over support points of class k,   logits_k(x) = −‖f_θ(x) − c_k‖²,
      meta-loss(θ) = L_Q, the task's loss of these logits.

    A class without a support point has no prototype: its logit is −∞, its probability 0, and the others are as if it
    were not there. So training episodes may have more classes than test episodes, as the paper's do (a task's
    `train_ways`).

    Adaptation is complete before the first step, so all further steps leave φ = (c_1 … c_N) as it is.

    Reference: Snell, Swersky, Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017, Algorithm 1.
    """

    name = "protonet"
    embedding: int = option(32, "dimensions of the space that inputs are embedded in", minimum=1)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        require_classes(self, spec, "classifies by class means")
        return {"network": replace(spec, output_size=self.embedding)}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Prototypes:
        embedded = learner.predict(meta["network"], support.x, mask=support.mask)
        return Prototypes(*class_means(embedded, support, learner.spec.output_size))

    def embed(self, learner: Learner, meta: MetaParams, fast: Prototypes, x: Tensor) -> Tensor:
        """f_θ(x), the space of the prototypes."""
        return learner.predict(meta["network"], x)

    def predict(self, learner: Learner, meta: MetaParams, fast: Prototypes, x: Tensor) -> Tensor:
        logits = -(self.embed(learner, meta, fast, x)[:, None] - fast.means).square().sum(-1)
        return of_present(logits, fast.present)
