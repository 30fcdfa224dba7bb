"""The conditional neural process: a set becomes one vector, by which every query point is predicted."""

from __future__ import annotations

from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Gaussian, Learner, MetaParams, Spec, option
from mamlzoo_algorithms.point_sets import at_each, gaussian_of, mean_of, nll_of, rows_of, sizes_of


class CNP(mamlzoo.CompleteAtOnce):
    """A conditional neural process: the support set becomes one vector, by which every query point is predicted.

    With an encoder h and a decoder g, both of the user's model,

      r = mean of h(x, y) over the support set, 0 of an empty one,
      y(x) ~ N(μ, σ²),   (μ, s) = g(x, r),   σ = σ₀ + (1 − σ₀)·log(1 + eˢ),
      meta-loss(θ) = mean of −log p(y | x, r) over the query set.

    Nothing is fitted to an episode by gradients: adaptation is complete before the first step. The paper's loss scores
    the support points too, given themselves; here the query points alone, so that it is −log of a density.

    Reference: Garnelo et al., "Conditional Neural Processes", ICML 2018, section 2.2; the least standard deviation σ₀
    is of the code with the paper (deepmind/neural-processes).
    """

    name = "cnp"
    claims = frozenset({"complete-at-once", "log-likelihood"})
    representation: int = option(128, "numbers that a support set becomes", minimum=1)
    least_sd: float = option(0.1, "least standard deviation of a prediction, σ₀", above=0, maximum=1)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        inputs, targets = sizes_of(self, spec)
        return {
            "encoder": Spec((inputs + targets,), self.representation),
            "decoder": Spec((inputs + self.representation,), 2 * targets),
        }

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Tensor:
        rows = learner.predict(meta["encoder"], rows_of(support), "encoder", mask=support.mask)
        return mean_of(rows, support.there)

    def predict(self, learner: Learner, meta: MetaParams, fast: Tensor, x: Tensor) -> Gaussian:
        return gaussian_of(learner.predict(meta["decoder"], at_each(x, fast), "decoder"), self.least_sd)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        known = self.start(learner, meta, episode.support)
        return nll_of(self.predict(learner, meta, known, episode.query.x), episode.query), {}
