"""MAML++: MAML with learned rates, a loss after each step, and norms of their own for each step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaLoss, MetaParams, Params, Spec, option
from mamlzoo_algorithms.norms import first_statistics, in_their_turn, next_statistics, row_of, without_norms


class Steps(NamedTuple):
    """φ: the parameters that adapt, and how many steps they made, [], counted up to `inner_steps`."""

    params: Params
    made: Tensor


class MAMLPlusPlus(mamlzoo.MetaAlgorithm):
    """MAML made stable: learned rates, a query loss after each step, and norms of their own for each step.

    θ = {"network": parameters, "rates": α [k] of each tensor, "norms": scales and biases of norms, ν [k + 1] of each}.
    Norms do not adapt; with ν_t those that stand at φ_t,

      φ₀ = θ,   φ_{t+1} = φ_t − α_t ⊙ ∇_φ L_S(φ_t, ν_t),   meta-loss(θ) = Σ_{t=1…k} w_t · L_Q(φ_t, ν_t).

    The weights w_t add up to 1: they begin as 1/k each, and until `multi_step_share` of training is done all goes over
    to the last one, w_t = (1 − u)/k for t < k with u from 0 to 1. (The authors' code keeps .03/k until then.) All k
    losses are computed all the time, for what is computed cannot hang on how far training is.

    For the first `first_order_share` of training the inner gradients are constants. Their derivatives are computed all
    the same, at their full cost, and not let through. Where there is such a share `order` says 'first-order'.

    A batch norm takes the statistics of the batch when it trains and adapts. With `per_step_statistics` it predicts by
    running means of these, one for each number of steps, so that query points do not see each other; they are taken of
    support and query set together. Without, it predicts by the batch, as in the authors' code, which keeps such means
    and never uses them. (A batch norm must have a scale, and be called once, in the order in which norms are held.)

    A test's steps beyond k have the last step's rates, and the norms that stand at φ_k. A rate for each tensor and step
    is as in the code, where the paper says layer; norms are layers with a weight of one axis. The cosine schedule of
    the outer rate is a setting of a run, and an ensemble of the best checkpoints is no part of this.

    Reference: Antoniou, Edwards, Storkey, "How to train your MAML", ICLR 2019, section 4.
    """

    name = "maml-plus-plus"
    honours_masks = True
    statistics = frozenset({"moments"})
    inner_steps: int = option(5, "adaptation steps in training, k", minimum=1)
    inner_lr: float = option(0.01, "initial rate of every tensor and step, α⁰", minimum=0)
    multi_step_share: float = option(
        0.1, "share of training in which the losses of earlier steps fade out; 0: the last alone", minimum=0, maximum=1
    )
    first_order_share: float = option(
        0.0, "share of training, from its start on, without second derivatives", minimum=0, maximum=1
    )
    per_step_statistics: bool = option(True, "whether batch norms predict by running means, one for each step")

    @property
    def order(self) -> str:  # type: ignore[override]
        return "first-order" if self.first_order_share else "exact"

    def networks(self, spec: Spec) -> dict[str, Spec]:
        return {"network": spec}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        network, steps = networks["network"], self.inner_steps
        adapting = without_norms(network)
        if not adapting:
            raise mamlzoo.UsageError(
                f"algorithm '{self.name}' adapts all but norms, and the network is nothing else: {', '.join(network)}"
            )
        norms = {name: value.detach() for name, value in network.items() if name not in adapting}
        return {
            "network": adapting,
            "rates": {name: value.new_full((steps,), self.inner_lr) for name, value in adapting.items()},
            "norms": {name: torch.stack([value] * (steps + 1)) for name, value in norms.items()},
            "moments": first_statistics(network, steps + 1),
        }

    def remarks(self, meta: MetaParams) -> list[str]:
        norms = ", ".join(meta["norms"])
        return [f"learned for each step, and not adapted: {norms}"] if norms else []

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Steps:
        return Steps(meta["network"], torch.zeros((), dtype=torch.long, device=support.y.device))

    def adapt(self, learner: Learner, meta: MetaParams, fast: Steps, support: Batch) -> Steps:
        return self._step(learner, meta, fast, support, None)

    def _step(self, learner: Learner, meta: MetaParams, fast: Steps, support: Batch, second: Tensor | None) -> Steps:
        """Args: second: whether the gradient is differentiated, [] of bool; None: it is."""
        norms = row_of(meta["norms"], fast.made)
        gradient = grad(lambda params: learner.loss(params | norms, support))(fast.params)
        if second is not None:
            gradient = mamlzoo.tree_map(lambda g: torch.where(second, g, mamlzoo.stop_gradient(g)), gradient)
        rates = row_of(meta["rates"], fast.made.clamp(max=self.inner_steps - 1))
        return Steps(mamlzoo.sgd(fast.params, gradient, rates), (fast.made + 1).clamp(max=self.inner_steps))

    def predict(self, learner: Learner, meta: MetaParams, fast: Steps, x: Tensor) -> Tensor:
        params, moments = self._params(meta, fast), self._moments(learner, meta)
        return learner.predict(params, x, moments=row_of(moments, fast.made) if moments else None)

    def adapted(self, learner: Learner, meta: MetaParams, fast: Steps) -> dict[str, Params]:
        if self._moments(learner, meta):
            raise mamlzoo.UsageError(
                f"algorithm '{self.name}' predicts by batch norm statistics of each step, which no network holds; "
                "per_step_statistics=False does without"
            )
        return {"network": self._params(meta, fast)}

    def _params(self, meta: MetaParams, fast: Steps) -> Params:
        return fast.params | row_of(meta["norms"], fast.made)

    def _moments(self, learner: Learner, meta: MetaParams) -> Params:
        """What batch norms predict by, [k + 1, channels] each; none where the batch serves, or a run says what does."""
        if not self.per_step_statistics or learner.norms != "batch":
            return {}
        return in_their_turn(learner.networks["network"], meta["moments"], self.name)

    def meta_loss(self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor) -> MetaLoss:
        second = progress >= self.first_order_share if self.first_order_share else None
        fast, losses = self.start(learner, meta, episode.support), []
        passed = [fast]
        for step in range(1, self.inner_steps + 1):
            fast = self._step(learner.branch(), meta, fast, episode.support, second)
            passed.append(fast)
            if self.multi_step_share or step == self.inner_steps:
                losses.append(learner.loss(self._params(meta, fast), episode.query))
        loss = torch.stack(losses) @ self._weights(progress.to(losses[-1].dtype)) if len(losses) > 1 else losses[-1]
        moments = meta["moments"]
        if self._moments(learner, meta):
            each = [mamlzoo.stop_gradient(self._params(meta, fast)) for fast in passed]
            moments = next_statistics(learner, moments, each, episode.support.joined(episode.query), self.name)
        return loss, {"last_loss": losses[-1]}, {"moments": moments}

    def _weights(self, progress: Tensor) -> Tensor:
        """w₁ … w_k."""
        early = (1 - (progress / self.multi_step_share).clamp(max=1)) / self.inner_steps
        return torch.stack([early] * (self.inner_steps - 1) + [1 - (self.inner_steps - 1) * early])
