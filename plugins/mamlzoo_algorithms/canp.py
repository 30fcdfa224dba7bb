"""The conditional attentive neural process: each query point reads the support set by attention."""

from __future__ import annotations

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Builder, Episode, Gaussian, Learner, MetaParams, Spec, option
from mamlzoo_algorithms.attended_set import AttendedSet, attending_networks
from mamlzoo_algorithms.point_sets import gaussian_of, nll_of, sizes_of


class CANP(mamlzoo.CompleteAtOnce):
    """A conditional attentive neural process: each query point reads the support set by attention; no latent vector.

    As `cnp`, but for the mean over the support set: a query point x takes a weighted mean of its own,

      r(x) = multi-head attention of e(x) to the keys e(x_i) with the values h(x_i, y_i),
      y(x) ~ N(μ, σ²),   (μ, s) = g(x, r(x)),   meta-loss(θ) = mean of −log p(y | x, r) over the query set,

    with encoder h, embedding e and decoder g of the user's model. r is 0 of an empty support set. It is the
    deterministic path of `anp` alone, without the attention of support points to each other that the paper also has.

    Reference: Kim et al., "Attentive Neural Processes", ICLR 2019, section 3; without latent variables it is in Nguyen,
    Grover, "Transformer Neural Processes", ICML 2022, section 5.1, as CANP.
    """

    name = "canp"
    claims = frozenset({"complete-at-once", "log-likelihood"})
    representation: int = option(64, "numbers that a query point takes of the support set", minimum=1)
    heads: int = option(8, "heads of the attention", minimum=1)
    least_sd: float = option(0.1, "least standard deviation of a prediction, σ₀", above=0, maximum=1)

    def networks(self, spec: Spec) -> dict[str, Spec | Builder]:
        inputs, targets = sizes_of(self, spec)
        return {
            **attending_networks(self, inputs, targets, self.representation, self.heads),
            "decoder": Spec((inputs + self.representation,), 2 * targets),
        }

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> AttendedSet:
        return AttendedSet.of(learner, meta, support)

    def predict(self, learner: Learner, meta: MetaParams, fast: AttendedSet, x: Tensor) -> Gaussian:
        rows = torch.cat([x, fast.at(learner, meta, x)], -1)
        return gaussian_of(learner.predict(meta["decoder"], rows, "decoder"), self.least_sd)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        known = self.start(learner, meta, episode.support)
        return nll_of(self.predict(learner, meta, known, episode.query.x), episode.query), {}
