"""Two data sets for one neuron, small enough to meta-learn by hand."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Spec, Split

SUPPORT = torch.tensor([[[2.0, 4.0], [3.0, 1.0]], [[5.0, 3.0], [6.0, 0.0]]])
QUERY = torch.tensor([[[1.0, 2.0]], [[4.0, 1.0]]])
"""D1 and D2 as [episode, example, (x, y)]."""


class Scalar(mamlzoo.Task):
    """Two data sets for one neuron, small enough to meta-learn by hand: D1 and D2.

           support (x, y)     query (x, y)
      D1   (2, 4), (3, 1)     (1, 2)
      D2   (5, 3), (6, 0)     (4, 1)

    Episodes take turns, D1, D2, D1, … in every split; nothing is random. The loss is the SUM of squared errors, not
    the mean.

    With f(x) = θ·x and S₂ = Σ x² over the support set, a gradient step is an affine map of θ:

      φ = θ − α·L_S′(θ),   L_S′(θ) = −2 Σ_S x·(y − θx),   ∂φ/∂θ = 1 − 2α·S₂.

    After k steps ∂φ/∂θ = (1 − 2α·S₂)ᵏ, and the chain rule gives the meta-gradient

      d L_Q(φ)/dθ = (1 − 2α·S₂)ᵏ · L_Q′(φ),   to first order just L_Q′(φ).

    The sum in ∂φ/∂θ is over the SUPPORT set, since φ was made from it. The notebook that this task comes from sums over
    the query set (its eq. 14); `mamlzoo verify -t scalar -m neuron` shows both.
    """

    name = "scalar"
    exempt_from = {
        "other-seed-gives-other-data": "it is two data sets to do by hand; nothing is random",
        "loss-is-a-mean-over-examples": "the notebook sums the squares, and so do its formulas",
        "splits-are-disjoint": "D1 and D2 are in every split, so that the meta-gradient can be followed by hand",
    }
    spec = Spec(input_shape=(1,), output_size=1, test_episodes=2, valid_episodes=2)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        turn = torch.arange(count) % len(SUPPORT)
        support, query = SUPPORT[turn].to(generator.device), QUERY[turn].to(generator.device)
        return Episode(Batch(support[..., :1], support[..., 1:]), Batch(query[..., :1], query[..., 1:]))

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (target - prediction).square().sum()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"sse": self.loss(prediction, target)}

    def closed_form(
        self,
        algorithm: mamlzoo.MetaAlgorithm,
        learner: mamlzoo.Learner,
        meta: mamlzoo.MetaParams,
        episode: Episode,
    ) -> mamlzoo.ClosedForm | None:
        """The whole chain rule, where the meta-loss is L_Q behind plain gradient steps on a network f(x) = θ·x."""
        rate, steps = getattr(algorithm, "inner_lr", None), getattr(algorithm, "inner_steps", None)
        weights = mamlzoo.named_leaves(meta)
        if rate is None or steps is None or algorithm.order == "surrogate":
            return None
        if len(weights) != 1 or weights[0][1].numel() != 1:
            return None

        theta = phi = float(weights[0][1])
        support, query = _Sums(episode.support), _Sums(episode.query)
        for _ in range(steps):
            phi -= rate * support.slope(phi)
        # Another network or another way to adapt would not end at this very loss.
        meta_loss = float(algorithm.meta_loss(learner, meta, episode, torch.tensor(0.0))[0])
        if not math.isclose(meta_loss, query.loss(phi), rel_tol=1e-9, abs_tol=1e-9):
            return None

        contraction = (1 - 2 * rate * support.xx) ** steps
        exact, first_order = contraction * query.slope(phi), query.slope(phi)
        chain = [
            ("θ", theta, "the initial weight"),
            ("L_S(θ)", support.loss(theta), "support loss before adaptation"),
            ("∂L_S/∂θ", support.slope(theta), "inner gradient"),
            ("φ", phi, f"adapted weight, {steps} step{'s' * (steps != 1)} of {rate:g}"),
            ("L_Q(φ)", query.loss(phi), "query loss after adaptation"),
            ("∂L_Q/∂φ", query.slope(phi), "the notebook's eq. 13; the first-order meta-gradient"),
            ("∂φ/∂θ", contraction, "1 − 2α·Σ x² over the support set" + f", to the power {steps}" * (steps != 1)),
            ("dL_Q/dθ", exact, "the meta-gradient, ∂φ/∂θ · ∂L_Q/∂φ"),
        ]
        if steps == 1:
            eq14 = 1 - 2 * rate * query.xx
            chain += [
                ("eq. 14", eq14, "WRONG in the notebook: 1 − 2α·Σ x² over the query set"),
                ("eq. 14 · eq. 13", eq14 * query.slope(phi), "WRONG: the meta-gradient as the notebook has it"),
            ]
        value = first_order if algorithm.order == "first-order" else exact
        return mamlzoo.ClosedForm(
            title=_title(episode),
            meta_gradient=mamlzoo.tree_map(lambda weight: torch.full_like(weight, value), meta),
            steps=chain,
        )


class _Sums:
    """A batch's sums, from which loss and slope at any weight follow: Σ(y − θx)² = yy − 2θ·xy + θ²·xx."""

    def __init__(self, batch: Batch) -> None:
        x, y = batch.x.double(), batch.y.double()
        self.xx, self.xy, self.yy = float((x * x).sum()), float((x * y).sum()), float((y * y).sum())

    def loss(self, theta: float) -> float:
        return self.yy - 2 * theta * self.xy + theta * theta * self.xx

    def slope(self, theta: float) -> float:
        return 2 * (theta * self.xx - self.xy)


def _title(episode: Episode) -> str:
    first = bool(torch.equal(episode.support.x.float().cpu(), SUPPORT[0, :, :1]))
    return "D1" if first else "D2"
