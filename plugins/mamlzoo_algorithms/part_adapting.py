"""Algorithms of which a part of the network adapts, and the rest is shared by all episodes."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor
from torch.func import grad

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, Spec, option


class PartAdapting(mamlzoo.MetaAlgorithm):
    """Gradient descent by a part p of θ = (p, rest), and the whole derivative through it.

    p₀ = p,   p_{t+1} = p_t − α·∂L_S(p_t, rest)/∂p,   meta-loss(θ) = L_Q(p_k, rest).
    """

    claims = frozenset({"query-loss"})
    honours_masks = True
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)
    inner_lr: float = option(0.01, "rate of an adaptation step, α", minimum=0)

    @abstractmethod
    def part(self, params: Params) -> Params:
        """Those of the network's parameters that adapt."""

    def networks(self, spec: Spec) -> dict[str, Spec]:
        return {"network": spec}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        self.part(networks["network"])  # so that a network without one is refused at once
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Params:
        return self.part(meta["network"])

    def adapt(self, learner: Learner, meta: MetaParams, fast: Params, support: Batch) -> Params:
        gradient = grad(lambda part: learner.loss(meta["network"] | part, support))(fast)
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
