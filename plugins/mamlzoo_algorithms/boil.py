"""BOIL: only the body adapts; the head is shared by all episodes."""

from __future__ import annotations

from torch import Tensor
from torch.func import grad

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.heads import head_of


class BOIL(mamlzoo.MetaAlgorithm):
    """Body only in the inner loop: the network's body adapts, and its head is shared by all episodes.

    With θ = (body ω, head h),

      ω₀ = ω,   ω_{t+1} = ω_t − α·∂L_S(ω_t, h)/∂ω,   meta-loss(θ) = L_Q(ω_k, h),

    and the meta-gradient is the whole derivative by ω and h. Since the head stands still, an episode can be learned by
    another representation alone: ANIL the other way round. The head is the layer that holds the last parameter, or the
    module that `head` names; the body is all else, and a run says what both are.

    Reference: Oh, Yoo, Kim, Yun, "BOIL: Towards Representation Change for Few-shot Learning", ICLR 2021, section 3.
    """

    name = "boil"
    claims = frozenset({"query-loss"})
    honours_masks = True
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)
    inner_lr: float = option(0.01, "rate of an adaptation step, α", minimum=0)
    head: str = option("", "name of the module that stays, as in '4'; empty: the layer of the last parameter")

    def networks(self, spec: Spec) -> dict[str, Spec]:
        return {"network": spec}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        self._body(networks["network"])  # so that a network without one is refused at once
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Params:
        return self._body(meta["network"])

    def _body(self, params: Params) -> Params:
        head = head_of(params, self.head, self.name)
        body = {name: value for name, value in params.items() if name not in head}
        if not body:
            raise mamlzoo.UsageError(
                f"algorithm 'boil' adapts the body, and the head is the whole network: {', '.join(head)}; "
                "choose a network with a layer before it"
            )
        return body

    def remarks(self, meta: MetaParams) -> list[str]:
        body = self._body(meta["network"])
        head = [name for name in meta["network"] if name not in body]
        return [f"the body that adapts: {', '.join(body)}", f"the head that stays: {', '.join(head)}"]

    def adapt(self, learner: Learner, meta: MetaParams, fast: Params, support: Batch) -> Params:
        gradient = grad(lambda body: learner.loss(meta["network"] | body, support))(fast)
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
