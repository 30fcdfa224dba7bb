"""The inner loop: gradient steps as pure functions, and the algorithms that adapt by nothing else."""

from __future__ import annotations

from torch import Tensor

from mamlzoo.contracts.data import Batch, Fast, MetaParams, Params, Spec
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.options import option
from mamlzoo.contracts.plugins import MetaAlgorithm
from mamlzoo.contracts.recomputation import recomputed_step


def sgd(params: Params, gradient: Params, rate: float | Params) -> Params:
    """One step of gradient descent; `rate` is a number, or a tensor for each parameter."""
    if isinstance(rate, dict):
        return {name: value - rate[name] * gradient[name] for name, value in params.items()}
    return {name: value - rate * gradient[name] for name, value in params.items()}


def adapt(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, support: Batch, steps: int) -> Fast:
    """φ after `steps` adaptation steps on one episode's support set, differentiable in θ.

    Where the learner says `recompute`, only φ is kept of each step; the backward pass computes the step again.
    """
    fast = algorithm.start(learner, meta, support)
    step = recomputed_step if learner.recompute else type(algorithm).adapt
    for _ in range(steps):
        fast = step(algorithm, learner.branch(), meta, fast, support)
    return fast


class GradientDescent(MetaAlgorithm):
    """Algorithms that adapt a whole network by gradient descent on the support loss, and differ in their meta-loss.

    θ = {"network": parameters}, and

        φ₀ = θ,   φ_{t+1} = φ_t − α·∇L_S(φ_t).
    """

    honours_masks = True
    inner_lr: float = option(0.01, "rate of an adaptation step, α", minimum=0)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        return {"network": spec}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Params:
        return meta["network"]

    def adapt(self, learner: Learner, meta: MetaParams, fast: Params, support: Batch) -> Params:
        return sgd(fast, learner.gradient(fast, support), self.inner_lr)

    def predict(self, learner: Learner, meta: MetaParams, fast: Params, x: Tensor) -> Tensor:
        return learner.predict(fast, x)

    def adapted(self, learner: Learner, meta: MetaParams, fast: Params) -> dict[str, Params]:
        return {"network": fast}
