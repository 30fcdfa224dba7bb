"""Algorithms that take a whole support set in at once, by no steps."""

from __future__ import annotations

from torch import Tensor

from mamlzoo.contracts.data import Batch, Episode, Fast, MetaParams, Params
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import MetaAlgorithm


class CompleteAtOnce(MetaAlgorithm):
    """Algorithms whose adaptation is complete before the first step, so that all further steps leave φ as it is.

    Class means, closed forms and networks that read the support set are such. What is learned is how to read it:

        φ = start(θ, S),   meta-loss(θ) = L_Q(predict(θ, φ, ·)).

    A subclass has `networks`, `start` and `predict`; one with a loss of its own has `meta_loss` too, and says in
    `claims` what that is.
    """

    claims = frozenset({"query-loss", "complete-at-once"})
    honours_masks = True

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def adapt(self, learner: Learner, meta: MetaParams, fast: Fast, support: Batch) -> Fast:
        return fast

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fast = self.start(learner, meta, episode.support)
        return learner.loss_of(self.predict(learner, meta, fast, episode.query.x), episode.query), {}
