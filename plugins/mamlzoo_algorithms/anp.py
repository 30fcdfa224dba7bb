"""The attentive neural process: attention to the support set, and a latent vector of the whole of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Builder, Episode, Learner, MetaParams, Spec, option
from mamlzoo_algorithms.attended_set import AttendedSet, attending_networks
from mamlzoo_algorithms.gaussian_mixture import GaussianMixture
from mamlzoo_algorithms.latent_gaussian import LatentGaussian, decoded, negative_bound
from mamlzoo_algorithms.point_sets import rows_of, sizes_of


class Paths(NamedTuple):
    """φ: what a query point looks up, and the Gaussian of what is the same for all of them."""

    attended: AttendedSet
    latent: LatentGaussian


class ANP(mamlzoo.CompleteAtOnce):
    """An attentive neural process: each query point reads the support set by attention, beside a latent vector.

    Two paths lead from the support set S to a target. The deterministic one is `canp`'s,

      r(x) = multi-head attention of e(x) to the keys e(x_i) with the values h(x_i, y_i),

    and the latent one `np`'s: a set D gives q(z | D) = N(m, diag v²), where (m, s) is the mean of l(x, y) over D and
    v = 0.1 + 0.9·sigmoid(s). Then y(x) ~ N(μ, σ²) with (μ, t) = g(x, r(x), z), σ = σ₀ + (1 − σ₀)·log(1 + eᵗ), and

      meta-loss(θ) = −1/n · ( E_{z ~ q(z | S ∪ Q)} Σ_Q log p(y | x, r, z) − KL(q(z | S ∪ Q) ‖ q(z | S)) ),

    for the n points of the query set Q; attention sees S alone. All of h, e, l, g are of the user's model. At test K
    samples z ~ q(z | S) predict together, as in `np`. Support points do not attend to each other, as they may in the
    paper.

    Reference: Kim et al., "Attentive Neural Processes", ICLR 2019, section 3 and equation 3; its bounds on v and σ are
    of the code with it (deepmind/neural-processes).
    """

    name = "anp"
    claims = frozenset({"complete-at-once"})
    representation: int = option(64, "numbers that a query point takes of the support set", minimum=1)
    heads: int = option(8, "heads of the attention", minimum=1)
    latent: int = option(64, "dimensions of z", minimum=1)
    samples: int = option(16, "samples of z for a prediction, K", minimum=1)
    train_samples: int = option(1, "samples of z in training", minimum=1)
    least_sd: float = option(0.1, "least standard deviation of a prediction given z, σ₀", above=0, maximum=1)

    def networks(self, spec: Spec) -> dict[str, Spec | Builder]:
        inputs, targets = sizes_of(self, spec)
        return {
            **attending_networks(self, inputs, targets, self.representation, self.heads),
            "latent": Spec((inputs + targets,), 2 * self.latent),
            "decoder": Spec((inputs + self.representation + self.latent,), 2 * targets),
        }

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Paths:
        return Paths(AttendedSet.of(learner, meta, support), self._latent(learner, meta, support))

    def _latent(self, learner: Learner, meta: MetaParams, batch: Batch) -> LatentGaussian:
        rows = learner.predict(meta["latent"], rows_of(batch), "latent", mask=batch.mask)
        return LatentGaussian.of(rows, batch.there)

    def predict(self, learner: Learner, meta: MetaParams, fast: Paths, x: Tensor) -> GaussianMixture:
        z = fast.latent.samples(self.samples, learner.noise)
        return decoded(learner, meta, self._rows(learner, meta, fast.attended, x), z, self.least_sd)

    def _rows(self, learner: Learner, meta: MetaParams, attended: AttendedSet, x: Tensor) -> Tensor:
        return torch.cat([x, attended.at(learner, meta, x)], -1)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        support, query = episode
        attended, prior = self.start(learner, meta, support)
        posterior = self._latent(learner, meta, support.joined(query))
        z = posterior.samples(self.train_samples, learner.noise)
        rows = self._rows(learner, meta, attended, query.x)
        return negative_bound(decoded(learner, meta, rows, z, self.least_sd), query, posterior, prior)
