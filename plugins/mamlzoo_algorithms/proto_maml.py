"""Proto-MAML: MAML whose head starts from class means."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor
from torch.func import grad

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.class_members import of_present, require_classes
from mamlzoo_algorithms.protonet import ProtoNet


class Classifier(NamedTuple):
    """φ: the parameters of body and head, and of each class whether the support set has a point of it, 1 or 0, [N]."""

    body: Params
    head: Params
    present: Tensor


class ProtoMAML(mamlzoo.MetaAlgorithm):
    """MAML whose head starts from class means, so that before the first step it classifies as ProtoNet does.

    The network f_θ embeds inputs into `embedding` dimensions, and a linear head is made for each episode. With c_k the
    mean of f_θ(x) over the support points of class k,

      −‖f_θ(x) − c_k‖² = 2·c_kᵀ·f_θ(x) − ‖c_k‖² − ‖f_θ(x)‖²,

    of which the last part is the same for all classes; so prototypes are a linear layer, and that is where it starts:

      w_k = 2·c_k,   b_k = −‖c_k‖²,   φ₀ = (θ, w, b),   φ_{t+1} = φ_t − α·∇L_S(φ_t),   meta-loss(θ) = L_Q(φ_k).

    Body and head adapt together, and the meta-gradient goes through the steps and through the prototypes into θ. Each
    class counts by the mean of its own points, however many these are. A class without a support point has no
    prototype: its logit is −∞ before and after all steps, and the others are as if it were not there.

    Deviation: the whole derivative, where the paper's experiments take the first-order one.

    Reference: Triantafillou et al., "Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few Examples",
    ICLR 2020, section 3, "Proto-MAML".
    """

    name = "proto-maml"
    claims = frozenset({"query-loss"})
    honours_masks = True
    embedding: int = option(32, "dimensions of the space that inputs are embedded in", minimum=1)
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)
    inner_lr: float = option(0.01, "rate of an adaptation step, α", minimum=0)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        require_classes(self, spec, "starts from class means")
        return {"network": replace(spec, output_size=self.embedding)}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Classifier:
        means, present = ProtoNet(embedding=self.embedding).start(learner, meta, support)
        return Classifier(meta["network"], {"weight": 2 * means, "bias": -means.square().sum(-1)}, present)

    def adapt(self, learner: Learner, meta: MetaParams, fast: Classifier, support: Batch) -> Classifier:
        def loss(body: Params, head: Params) -> Tensor:
            return self._loss(learner, Classifier(body, head, fast.present), support)

        by_body, by_head = grad(loss, argnums=(0, 1))(fast.body, fast.head)
        body, head = mamlzoo.sgd(fast.body, by_body, self.inner_lr), mamlzoo.sgd(fast.head, by_head, self.inner_lr)
        return Classifier(body, head, fast.present)

    def embed(self, learner: Learner, meta: MetaParams, fast: Classifier, x: Tensor) -> Tensor:
        """f_φ(x), what the head sees."""
        return learner.predict(fast.body, x)

    def predict(self, learner: Learner, meta: MetaParams, fast: Classifier, x: Tensor) -> Tensor:
        return _logits(fast, self.embed(learner, meta, fast, x))

    def _loss(self, learner: Learner, fast: Classifier, batch: Batch) -> Tensor:
        return learner.loss_of(_logits(fast, learner.predict(fast.body, batch.x, mask=batch.mask)), batch)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return self._loss(learner, fast, episode.query), {}


def _logits(fast: Classifier, embedded: Tensor) -> Tensor:
    return of_present(embedded @ fast.head["weight"].T + fast.head["bias"], fast.present)
