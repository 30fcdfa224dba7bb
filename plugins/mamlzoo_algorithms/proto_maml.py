"""Proto-MAML: MAML whose head starts from class means."""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor
from torch.func import grad
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, Spec, option


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
        if spec.kind != "classification":
            raise mamlzoo.UsageError(
                f"algorithm 'proto-maml' starts from class means, and the task is {spec.kind}; "
                "choose a classification task"
            )
        return {"network": replace(spec, output_size=self.embedding)}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> dict[str, Params]:
        embedded = learner.predict(meta["network"], support.x, mask=support.mask)
        member = functional.one_hot(support.y, learner.spec.output_size).to(embedded.dtype)
        # What padding is embedded as may be anything, and 0 times infinity is not 0.
        embedded, member = (rows.masked_fill(~support.there[:, None], 0) for rows in (embedded, member))
        count = member.sum(0)
        means = member.T @ embedded / count.clamp(min=1)[:, None]
        head = {"weight": 2 * means, "bias": -means.square().sum(-1)}
        return {"network": meta["network"], "head": head, "classes": {"present": count.clamp(max=1)}}

    def adapt(self, learner: Learner, meta: MetaParams, fast: dict[str, Params], support: Batch) -> dict[str, Params]:
        def loss(body: Params, head: Params) -> Tensor:
            return self._loss(learner, fast | {"network": body, "head": head}, support)

        groups = ("network", "head")
        gradients = grad(loss, argnums=(0, 1))(*(fast[group] for group in groups))
        adapted = (mamlzoo.sgd(fast[group], own, self.inner_lr) for group, own in zip(groups, gradients, strict=True))
        return fast | dict(zip(groups, adapted, strict=True))

    def predict(self, learner: Learner, meta: MetaParams, fast: dict[str, Params], x: Tensor) -> Tensor:
        return _logits(fast, learner.predict(fast["network"], x))

    def _loss(self, learner: Learner, fast: dict[str, Params], batch: Batch) -> Tensor:
        return learner.loss_of(_logits(fast, learner.predict(fast["network"], batch.x, mask=batch.mask)), batch)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return self._loss(learner, fast, episode.query), {}


def _logits(fast: dict[str, Params], embedded: Tensor) -> Tensor:
    logits = embedded @ fast["head"]["weight"].T + fast["head"]["bias"]
    return logits.masked_fill(fast["classes"]["present"] == 0, -math.inf)
