"""The latent neural process: what a set leaves open is a vector of random numbers, the same for all query points."""

from __future__ import annotations

from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Spec, option
from mamlzoo_algorithms.gaussian_mixture import GaussianMixture
from mamlzoo_algorithms.latent_gaussian import LatentGaussian, decoded, negative_bound
from mamlzoo_algorithms.point_sets import rows_of, sizes_of


class NeuralProcess(mamlzoo.CompleteAtOnce):
    """A latent neural process: a set gives a Gaussian over a vector z, and z with x the Gaussian of a target.

    With an encoder h and a decoder g, both of the user's model, a set D of points gives

      q(z | D) = N(m, diag v²),   (m, s) = mean of h(x, y) over D, 0 of an empty one,   v = 0.1 + 0.9·sigmoid(s),

    and y(x) ~ N(μ, σ²) with (μ, t) = g(x, z) and σ = σ₀ + (1 − σ₀)·log(1 + eᵗ). In training z is drawn from what
    support S and query Q give together, and the meta-loss is minus the evidence lower bound of the n query targets, for
    each of them:

      meta-loss(θ) = −1/n · ( E_{z ~ q(z | S ∪ Q)} Σ_Q log p(y | x, z) − KL(q(z | S ∪ Q) ‖ q(z | S)) ),

    with derivatives through z = m + v·ε. At test K samples z ~ q(z | S) predict together, as a mixture, whose `nll` is
    of one target at a time, and `joint nll` of all, with the same z; papers report the latter. Adaptation is complete
    before the first step. The code of the paper has a layer between the mean over a set and (m, s).

    Reference: Garnelo et al., "Neural Processes", ICML 2018 workshop on Theoretical Foundations and Applications of
    Deep Generative Models, equation 9; its bounds on v and σ are of the code with it (deepmind/neural-processes).
    """

    name = "np"
    claims = frozenset({"complete-at-once"})
    latent: int = option(64, "dimensions of z", minimum=1)
    samples: int = option(16, "samples of z for a prediction, K", minimum=1)
    train_samples: int = option(1, "samples of z in training", minimum=1)
    least_sd: float = option(0.1, "least standard deviation of a prediction given z, σ₀", above=0, maximum=1)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        inputs, targets = sizes_of(self, spec)
        return {
            "encoder": Spec((inputs + targets,), 2 * self.latent),
            "decoder": Spec((inputs + self.latent,), 2 * targets),
        }

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> LatentGaussian:
        rows = learner.predict(meta["encoder"], rows_of(support), "encoder", mask=support.mask)
        return LatentGaussian.of(rows, support.there)

    def predict(self, learner: Learner, meta: MetaParams, fast: LatentGaussian, x: Tensor) -> GaussianMixture:
        return decoded(learner, meta, x, fast.samples(self.samples, learner.noise), self.least_sd)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        support, query = episode
        prior, posterior = (self.start(learner, meta, batch) for batch in (support, support.joined(query)))
        z = posterior.samples(self.train_samples, learner.noise)
        return negative_bound(decoded(learner, meta, query.x, z, self.least_sd), query, posterior, prior)
