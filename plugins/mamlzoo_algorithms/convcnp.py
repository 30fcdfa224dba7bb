"""The convolutional conditional neural process: a support set as a function on a grid, which convolutions complete."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Builder, Episode, Gaussian, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.point_sets import gaussian_of, nll_of, sizes_of
from mamlzoo_algorithms.unet import UNet


class ConvCNP(mamlzoo.CompleteAtOnce):
    """A convolutional conditional neural process: shift the support set, and its predictions shift along.

    The support set becomes a function on a grid of points t, Δ apart, with w_i(t) = exp(−(t − x_i)²/2ℓ²):

      density(t) = Σ w_i(t),   signal(t) = Σ w_i(t)·y_i / (density(t) + 10⁻⁴);

    a network of convolutions, U, makes (μ, s)(t) of both; and a query point takes of the grid the mean with weights
    proportional to exp(−(x − t)²/2ℓ′²), from which y(x) ~ N(μ, σ²), σ = σ₀ + (1 − σ₀)·log(1 + eˢ). ℓ and ℓ′ are learned
    and begin with 2Δ. Of an empty set both channels are 0.

      meta-loss(θ) = mean of −log p(y | x, S) over the query set.

    Shifted by as many points of the grid as U halves to one, 2^levels, the support set gives the same predictions as
    far as the shift, but near the ends of the grid, behind which U sees zeros. The grid is fixed, by `x-min`, `x-max`
    and a margin on both sides that rounds its length up to a multiple of that: predictions beyond it are the end's. The
    paper's grid follows the data, and its weights at a query point are not divided by their sum, which inside the grid
    is the same up to a constant factor.

    Reference: Gordon et al., "Convolutional Conditional Neural Processes", ICLR 2020, sections 3 and 4, Algorithm 1.
    """

    name = "convcnp"
    claims = frozenset({"complete-at-once", "log-likelihood"})
    x_min: float = option(-5.0, "left end of the inputs")
    x_max: float = option(5.0, "right end of the inputs")
    points_per_unit: int = option(16, "grid points in an interval of length 1, 1/Δ", minimum=1)
    margin: float = option(0.1, "how far the grid reaches beyond the inputs at least", minimum=0)
    channels: int = option(32, "channels of the convolutions", minimum=1)
    levels: int = option(4, "how often they halve the grid", minimum=1)
    least_sd: float = option(0.1, "least standard deviation of a prediction, σ₀", above=0, maximum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.x_min >= self.x_max:
            raise mamlzoo.UsageError(
                f"algorithm 'convcnp': x_min must be below x_max, and {self.x_min:g} is not below {self.x_max:g}"
            )

    def networks(self, spec: Spec) -> dict[str, Builder]:
        inputs, targets = sizes_of(self, spec)
        if inputs != 1:
            raise mamlzoo.UsageError(
                f"algorithm 'convcnp' has its grid on one input, and the task has {inputs}; choose a task of curves, "
                "or algorithm cnp, canp or anp"
            )
        return {"convolutions": lambda: UNet(1 + targets, 2 * targets, self.channels, self.levels)}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        some = next(iter(networks["convolutions"].values()))
        log_length = some.new_full((), math.log(2 / self.points_per_unit))
        return networks | {"log_lengths": {"encoder": log_length, "decoder": log_length.clone()}}

    def _grid(self, like: Tensor) -> Tensor:
        """Its points [points], around the middle of the inputs."""
        whole = 2**self.levels
        wanted = (self.x_max - self.x_min + 2 * self.margin) * self.points_per_unit
        points = whole * math.ceil(wanted / whole)
        steps = torch.arange(points, device=like.device, dtype=like.dtype) - (points - 1) / 2
        grid: Tensor = (self.x_min + self.x_max) / 2 + steps / self.points_per_unit
        return grid

    def remarks(self, meta: MetaParams) -> list[str]:
        grid = self._grid(torch.zeros(()))
        return [f"the grid: {len(grid)} points from {grid[0]:.4g} to {grid[-1]:.4g}; beyond, predictions are its ends'"]

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Tensor:
        near = _exponents(self._grid(support.x), support.x, meta["log_lengths"]["encoder"]).exp()  # [points, n]
        near = near.masked_fill(~support.there, 0)
        density = near.sum(-1, keepdim=True)
        line = torch.cat([density, near @ support.y / (density + 1e-4)], -1)
        outputs = learner.predict(meta["convolutions"], line.mT[None], "convolutions")
        return outputs[0].T

    def predict(self, learner: Learner, meta: MetaParams, fast: Tensor, x: Tensor) -> Gaussian:
        weights = _exponents(self._grid(x), x, meta["log_lengths"]["decoder"]).softmax(0)  # [points, n]
        return gaussian_of(weights.mT @ fast, self.least_sd)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        known = self.start(learner, meta, episode.support)
        return nll_of(self.predict(learner, meta, known, episode.query.x), episode.query), {}


def _exponents(grid: Tensor, x: Tensor, log_length: Tensor) -> Tensor:
    """−(t − x)²/2ℓ² of grid points with inputs [n, 1], [points, n]."""
    return -((grid[:, None] - x.mT) / log_length.exp()).square() / 2
