"""Transformer neural processes, the diagonal one."""

from __future__ import annotations

from torch import Tensor

import mamlzoo
from mamlzoo import Builder, Episode, Gaussian, Learner, MetaParams, Spec
from mamlzoo_algorithms.context_transformer import ContextTransformer, Read
from mamlzoo_algorithms.point_sets import nll_of


class TNPD(ContextTransformer):
    """Transformer neural process, diagonal: a transformer reads the support set and predicts a Gaussian of each target.

    With T_θ the transformer, whose support tokens (x, y, 1) attend to each other and whose query tokens (x, 0, 0) to
    them alone,

      φ = the support set as T_θ has read it,   (μ, s) = head(T_θ(x, φ)),   σ² = 10⁻⁶ + log(1 + eˢ),
      meta-loss(θ) = mean over query points of −log N(y; μ, σ²).

    Query points are independent given the support set: that is what "diagonal" means, beside the autoregressive and
    the low-rank variant.

    In the paper's code σ = e^s, norms stand behind each layer and tokens have no third number; here σ² cannot overflow,
    norms stand before, which needs no warm-up, and a query token is told from a support token of y = 0.

    Reference: Nguyen and Grover, "Transformer Neural Processes: Uncertainty-Aware Meta Learning Via Sequence Modeling",
    ICML 2022, the variant TNP-D.
    """

    name = "tnp-d"
    claims = frozenset({"complete-at-once", "log-likelihood"})

    def outputs(self, spec: Spec) -> int:
        return 2 * spec.target_shape[0]

    def networks(self, spec: Spec) -> dict[str, Spec | Builder]:
        if spec.kind != "regression":
            raise mamlzoo.UsageError(
                f"algorithm 'tnp-d' predicts Gaussians of numbers, and the task is {spec.kind}; choose a regression "
                "task, or the algorithm in-context"
            )
        return super().networks(spec)

    def predict(self, learner: Learner, meta: MetaParams, fast: Read, x: Tensor) -> Gaussian:
        return Gaussian.of(self.answers(learner, meta, fast, x))

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        read = self.start(learner, meta, episode.support)
        return nll_of(self.predict(learner, meta, read, episode.query.x), episode.query), {}
