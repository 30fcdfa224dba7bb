"""ANIL: almost no inner loop; only the head adapts."""

from __future__ import annotations

from torch import Tensor
from torch.func import grad

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.heads import head_of


class ANIL(mamlzoo.MetaAlgorithm):
    """Almost no inner loop: only the network's head adapts, the body is shared by all episodes.

    With θ = (body ω, head h),

      h₀ = h,   h_{t+1} = h_t − α·∂L_S(ω, h_t)/∂h,   meta-loss(θ) = L_Q(ω, h_k),

    and the meta-gradient is the whole derivative by ω and h. The head is the layer that holds the last parameter,
    or the module that `head` names; a run says which parameters these are. (MAML's option `adapts` gives the same, by
    patterns of names and by any inner optimiser.)

    Reference: Raghu, Raghu, Bengio, Vinyals, "Rapid Learning or Feature Reuse? Towards Understanding the
    Effectiveness of MAML", ICLR 2020, section 4.
    """

    name = "anil"
    claims = frozenset({"query-loss"})
    honours_masks = True
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)
    inner_lr: float = option(0.01, "rate of an adaptation step, α", minimum=0)
    head: str = option("", "name of the module that adapts, as in '4'; empty: the layer of the last parameter")

    def networks(self, spec: Spec) -> dict[str, Spec]:
        return {"network": spec}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Params:
        return self._head(meta["network"])

    def _head(self, params: Params) -> Params:
        return head_of(params, self.head, self.name)

    def remarks(self, meta: MetaParams) -> list[str]:
        return [f"the head that adapts: {', '.join(self._head(meta['network']))}"]

    def adapt(self, learner: Learner, meta: MetaParams, fast: Params, support: Batch) -> Params:
        gradient = grad(lambda head: learner.loss(meta["network"] | head, support))(fast)
        return mamlzoo.sgd(fast, gradient, self.inner_lr)

    def predict(self, learner: Learner, meta: MetaParams, fast: Params, x: Tensor) -> Tensor:
        return learner.predict(meta["network"] | fast, x)

    def adapted(self, learner: Learner, meta: MetaParams, fast: Params) -> dict[str, Params]:
        return {"network": meta["network"] | fast}

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.loss(meta["network"] | fast, episode.query), {}
