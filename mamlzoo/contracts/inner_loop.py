"""The inner loop: gradient steps as pure functions, and the algorithms that adapt by nothing else."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.func import grad

from mamlzoo.contracts.adapting_parameters import ALL, adapting
from mamlzoo.contracts.data import Batch, Fast, MetaParams, Params, Spec
from mamlzoo.contracts.inner_optimizers import SGD, Adam, InnerOptimizer, Momentum, begun, clipped, stepped
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.options import option
from mamlzoo.contracts.plugins import MetaAlgorithm
from mamlzoo.contracts.recomputation import recomputed_step

OF_STEPS = ("inner_optimizer", "inner_momentum", "inner_beta2", "inner_eps", "inner_clip", "adapts")
"""The options of `GradientDescent` that its own `adapt` alone goes by."""


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
    """Algorithms that adapt a network by gradient descent on the support loss, and differ in their meta-loss.

    θ = {"network": parameters}, and

        φ₀ = θ,   φ_{t+1} = φ_t − α·∇L_S(φ_t),

    or as another inner optimiser takes the step, of a clipped gradient, or of some parameters alone. φ is the network's
    parameters by name, all of them; what an optimiser carries is in φ too, and no one else's concern. An algorithm that
    makes steps of its own in `meta_loss`, of other batches or gradients, makes them of `inner_gradient` by `descend`,
    so that they are of that kind as well.

    A subclass with an `adapt` of its own has of the options `inner_lr` alone, unless it declares others again.
    """

    honours_masks = True
    inner_lr: float = option(0.01, "rate of an adaptation step, α", minimum=0)
    inner_optimizer: Literal["sgd", "momentum", "adam"] = option(
        "sgd", "what makes an adaptation step of a gradient", later=True
    )
    inner_momentum: float = option(
        0.9,
        "how much of the direction before is kept: μ of momentum, β₁ of adam",
        minimum=0,
        maximum=0.9999,
        later=True,
    )
    inner_beta2: float = option(
        0.999, "how much adam's mean of squares is kept, β₂", minimum=0, maximum=0.99999, later=True
    )
    inner_eps: float = option(
        1e-8, "what adam adds to the root, ε; a step's derivative is up to α/ε", above=0, later=True
    )
    inner_clip: float | None = option(None, "largest norm of the gradient of an adaptation step", above=0, later=True)
    adapts: tuple[str, ...] = option(
        ("*",), "which parameters adapt, as *.bias or 2.*: patterns of their names", later=True
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "adapt" in vars(cls):
            own = cls.__annotations__
            # Of a field that is a class's own no option is made, and its value is the default.
            own |= {name: ClassVar[Any] for name in OF_STEPS if name not in own}
        super().__init_subclass__(**kwargs)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        return {"network": spec}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Params:
        return begun(self._optimizer, meta["network"], self._adapting(meta["network"]))

    def adapt(self, learner: Learner, meta: MetaParams, fast: Params, support: Batch) -> Params:
        return self.descend(fast, self.inner_gradient(learner, fast, support))

    def inner_gradient(self, learner: Learner, fast: Params, batch: Batch) -> Params:
        """The gradient of the loss on a batch by the parameters that adapt, clipped; itself differentiable."""
        own = self._adapting(fast)
        if len(own) == len(fast):
            gradient = learner.gradient(own, batch)
        else:
            gradient = grad(lambda adapting: learner.loss({**fast, **adapting}, batch))(own)
        return gradient if self.inner_clip is None else clipped(gradient, self.inner_clip)

    def descend(self, fast: Params, gradient: Params) -> Params:
        """φ after a step of the inner optimiser by such a gradient."""
        return stepped(self._optimizer, fast, gradient)

    def predict(self, learner: Learner, meta: MetaParams, fast: Params, x: Tensor) -> Tensor:
        return learner.predict(fast, x)

    def adapted(self, learner: Learner, meta: MetaParams, fast: Params) -> dict[str, Params]:
        return {"network": dict(fast)}

    def adapts_by(self) -> tuple[type[torch.optim.Optimizer], dict[str, Any]] | None:
        methods = ("start", "adapt", "inner_gradient", "descend", "adapted")
        own = any(getattr(type(self), name) is not getattr(GradientDescent, name) for name in methods)
        return None if own or self.inner_clip is not None or self.adapts != ALL else self._optimizer.in_torch()

    def remarks(self, meta: MetaParams) -> list[str]:
        some = () if self.adapts == ALL else self._adapting(meta["network"])
        return [f"of the parameters adapt: {', '.join(some)}"] if some else []

    @property
    def _optimizer(self) -> InnerOptimizer:
        if self.inner_optimizer == "sgd":
            return SGD(self.inner_lr)
        if self.inner_optimizer == "momentum":
            return Momentum(self.inner_lr, self.inner_momentum)
        return Adam(self.inner_lr, self.inner_momentum, self.inner_beta2, self.inner_eps)

    def _adapting(self, params: Params) -> Params:
        """Those of the parameters that adapt, without a state beside them."""
        if self.adapts == ALL:
            return params if type(params) is dict else dict(params)
        return {name: params[name] for name in adapting(self.adapts, tuple(params))}
