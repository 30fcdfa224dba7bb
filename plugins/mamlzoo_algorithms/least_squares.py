"""Least squares: fit a polynomial of raw inputs to the support set, with nothing learned."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.class_members import there_alone
from mamlzoo_algorithms.input_vectors import flat, require_numbers


class Fit(NamedTuple):
    """φ: weights [features, outputs], and the means of features and targets around which they were fitted."""

    weights: Tensor
    centre: Tensor
    height: Tensor


class LeastSquares(mamlzoo.CompleteAtOnce):
    """Fit raw inputs by least squares, in closed form: no network, no training, what a learned method must beat.

    Features z(x) are the powers 1 … `degree` of each of an input's numbers, none with degree 0; X are those of the
    support set, a row an example, and Y its targets, each less its mean, z̄ and ȳ, so that there is an intercept;
    without one, z̄ and ȳ are 0:

      W = argmin ‖XW − Y‖² + λ‖W‖²,   prediction(x) = ȳ + (z(x) − z̄)ᵀW.

    With λ = 0 and fewer examples than features there are many solutions, and W is the shortest. Both are one formula
    of the singular values s of X = U·diag(s)·Vᵀ,

      W = V·diag(s / (s² + λ))·Uᵀ·Y,   without those s that are 0 but for rounding.

    Where targets are linear in the features and noise is normal, λ = variance of the noise / variance of the weights
    makes it the best prediction there is. θ is λ, and stays.

    Reference: Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", 2009, section 3.4.1.
    """

    name = "least-squares"
    trains = False
    degree: int = option(1, "highest power of an input; 0: the mean of the targets alone", minimum=0)
    ridge: float = option(0.0, "weight of ‖W‖², λ", minimum=0)
    intercept: bool = option(True, "fit around the means, and not through the origin")

    def networks(self, spec: Spec) -> dict[str, Spec]:
        if spec.kind != "regression" or spec.target_shape != (spec.output_size,):
            raise mamlzoo.UsageError(
                f"algorithm '{self.name}' predicts numbers, and the task wants "
                f"{'classes' if spec.kind == 'classification' else 'distributions'}; choose a regression task"
            )
        require_numbers(self, spec)
        return {}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return {"penalty": {"ridge": torch.tensor(self.ridge)}}

    def _features(self, x: Tensor) -> Tensor:
        rows = flat(x)
        return torch.cat([rows[:, :0], *(rows**power for power in range(1, self.degree + 1))], -1)

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Fit:
        features, targets = self._features(support.x), support.y
        count = support.there.sum().clamp(min=1)
        centre, height = (there_alone(rows, support).sum(0) / count for rows in (features, targets))
        if not self.intercept:
            centre, height = torch.zeros_like(centre), torch.zeros_like(height)
        u, sizes, vt = torch.linalg.svd(there_alone(features - centre, support), full_matrices=False)
        rounding = torch.finfo(sizes.dtype).eps * max(features.shape) * sizes[:1]
        kept = sizes > rounding
        inverse = torch.where(kept, sizes / (sizes.square() + meta["penalty"]["ridge"]).masked_fill(~kept, 1), 0)
        weights = vt.T @ (inverse[:, None] * (u.T @ there_alone(targets - height, support)))
        return Fit(weights, centre, height)

    def predict(self, learner: Learner, meta: MetaParams, fast: Fit, x: Tensor) -> Tensor:
        return fast.height + (self._features(x) - fast.centre) @ fast.weights
