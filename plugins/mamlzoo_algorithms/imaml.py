"""iMAML: a meta-gradient that depends on where adaptation ends, not on the way there."""

from __future__ import annotations

from torch import Tensor
from torch.func import vjp

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, option
from mamlzoo_algorithms.conjugate_gradients import conjugate_gradients, dot


class IMAML(mamlzoo.GradientDescent):
    """Implicit MAML: a meta-gradient that depends on where adaptation ends, not on the way there.

    Adaptation minimises the support loss near θ, by k steps of gradient descent from θ:

      φ* = argmin_φ L_S(φ) + λ/2·‖φ − θ‖²,   φ₀ = θ,   φ_{t+1} = φ_t − α·(∇L_S(φ_t) + λ·(φ_t − θ)).

    At φ* the gradient is zero, ∇L_S(φ*) + λ·(φ* − θ) = 0. Differentiated by θ, with H the Hessian of L_S at φ*, that is
    H·∂φ*/∂θ + λ·(∂φ*/∂θ − I) = 0, so

      ∂φ*/∂θ = (I + H/λ)⁻¹,   ∇_θ L_Q(φ*) = (I + H/λ)⁻¹·∇L_Q(φ*) = g.

    g is solved for by conjugate gradients, which take only products of H with vectors, at φ_k in place of φ*; memory
    and graph do not grow with k. The meta-loss is built for that gradient (sg, stop-gradient):

      meta-loss(θ) = sg(L_Q(φ_k)) + ⟨sg(g), θ − sg(θ)⟩,   ∇_θ meta-loss = g.

    It is the derivative of L_Q(φ_k) where k steps come near to φ* and `cg_steps` near to g: that takes a λ above the
    largest negative curvature, and α below 2/(λ + the largest curvature). What does not see the way does not keep θ
    where the way is safe, as MAML's gradient does: training can sharpen L_S until steps of α run away, and then take a
    smaller α. `damping` δ solves (1 + δ)·I + H/λ instead, which is shorter, and safer where H has negative curvature.
    λ → ∞ gives ∇L_Q(θ), λ → 0 takes θ out of φ*.

    Deviations: the authors' code takes λ out of the steps and makes one step on λ/2·‖φ − θ‖² behind them, divides H by
    λ + 10, has δ = 1, and tests with λ = 0. Here it is as Algorithms 1 and 2 say, in training and test.

    Reference: Rajeswaran, Finn, Kakade, Levine, "Meta-Learning with Implicit Gradients", NeurIPS 2019, equation 6 and
    Algorithm 2.
    """

    name = "imaml"
    order = "surrogate"
    claims = frozenset({"query-loss"})
    inner_lr: float = option(0.005, "rate of an adaptation step, α", minimum=0)
    inner_steps: int = option(16, "adaptation steps in training, k", minimum=0)
    strength: float = option(10.0, "how strongly φ is held at θ, λ", above=0)
    cg_steps: int = option(5, "steps of conjugate gradients", minimum=1)
    damping: float = option(0.0, "what is added to the identity in the equations, δ", minimum=0)

    def adapt(self, learner: Learner, meta: MetaParams, fast: Params, support: Batch) -> Params:
        gradient, theta = learner.gradient(fast, support), meta["network"]
        pulled = {name: gradient[name] + self.strength * (value - theta[name]) for name, value in fast.items()}
        return mamlzoo.sgd(fast, pulled, self.inner_lr)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        theta = mamlzoo.stop_gradient(meta["network"])
        fast = mamlzoo.adapt(self, learner, meta | {"network": theta}, episode.support, self.inner_steps)
        # One call of the network for all products: so one that draws random numbers has one Hessian.
        hessian = vjp(lambda params: learner.gradient(params, episode.support), fast)[1]

        def product(vector: Params) -> Params:
            (image,) = hessian(vector)
            return {name: (1 + self.damping) * v + image[name] / self.strength for name, v in vector.items()}

        loss, slope = learner.loss(fast, episode.query), learner.gradient(fast, episode.query)
        gradient = mamlzoo.stop_gradient(conjugate_gradients(product, slope, self.cg_steps))
        away = {name: value - theta[name] for name, value in meta["network"].items()}
        return loss.detach() + dot(gradient, away), {}
