"""CAVIA: only a few context parameters adapt, the network is shared by all episodes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.func import grad

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.vectors import length_of_vectors


class CAVIA(mamlzoo.MetaAlgorithm):
    """Only a few context parameters adapt, further inputs of a network that all episodes share.

    The network f_θ takes an example x and the context φ side by side; φ has c numbers, which are 0 at the start, and

      φ₀ = 0,   φ_{t+1} = φ_t − α·∂L_S(f_θ(·, φ_t))/∂φ,   meta-loss(θ) = L_Q(f_θ(·, φ_k)).

    The meta-gradient is the whole derivative. Of one step it is

      ∇_θ meta-loss = ∂L_Q/∂θ − α·(∂²L_S/∂θ∂φ)·∂L_Q/∂φ,

    and the second part teaches the network what its context is for. The first layer's weights for the context must not
    be all 0 at the start: where nothing depends on φ, neither φ nor these weights would ever move.

    Deviations: a context for vectors alone, not the paper's modulation of convolutions by its section 3.2; and its code
    cuts each number of a task's meta-gradient off at ±10, which is left to the outer loop.

    Reference: Zintgraf, Shiarlis, Kurin, Hofmann, Whiteson, "Fast Context Adaptation via Meta-Learning", ICML 2019,
    section 3.1.
    """

    name = "cavia"
    claims = frozenset({"query-loss"})
    honours_masks = True
    context: int = option(5, "context parameters, c", minimum=1)
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)
    inner_lr: float = option(1.0, "rate of an adaptation step, α", minimum=0)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        size = length_of_vectors(spec, self.name) + self.context
        return {"network": replace(spec, inputs=None, input_shape=(size,))}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Tensor:
        zeros: Tensor = support.x.new_zeros(self.context)
        return zeros

    def adapt(self, learner: Learner, meta: MetaParams, fast: Tensor, support: Batch) -> Tensor:
        gradient: Tensor = grad(lambda context: self._loss(learner, meta, context, support))(fast)
        return fast - self.inner_lr * gradient

    def predict(self, learner: Learner, meta: MetaParams, fast: Tensor, x: Tensor) -> Tensor:
        return learner.predict(meta["network"], _beside(x, fast))

    def _loss(self, learner: Learner, meta: MetaParams, context: Tensor, batch: Batch) -> Tensor:
        return learner.loss(meta["network"], replace(batch, x=_beside(batch.x, context)))

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        context = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return self._loss(learner, meta, context, episode.query), {}


def _beside(x: Tensor, context: Tensor) -> Tensor:
    return torch.cat([x, context.expand(len(x), -1)], -1)
