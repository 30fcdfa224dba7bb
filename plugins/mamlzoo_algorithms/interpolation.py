"""Interpolation: straight lines from one support point to the next, with nothing learned."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Learner, MetaParams, Params, Spec
from mamlzoo_algorithms.point_sets import require_one_input


class Interpolation(mamlzoo.CompleteAtOnce):
    """Straight lines between neighbouring support points, constant beyond them: no network, no training.

    With the support inputs in order, x_1 ≤ … ≤ x_n, and x between x_i and x_{i+1},

      prediction(x) = y_i + (y_{i+1} − y_i)·(x − x_i)/(x_{i+1} − x_i),

    y_1 left of x_1 and y_n right of x_n. It fits every support point and knows of no other curve. Inputs are one
    number. θ is a number that nothing uses, and stays.

    Reference: Press, Teukolsky, Vetterling, Flannery, "Numerical Recipes", 3rd edition, 2007, section 3.1.
    """

    name = "interpolation"
    trains = False

    def networks(self, spec: Spec) -> dict[str, Spec]:
        require_one_input(self, spec)
        return {}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return {"none": {"zero": torch.zeros(())}}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Batch:
        """The support set in order of its inputs, padding behind the others."""
        order = support.x[:, 0].masked_fill(~support.there, math.inf).argsort(stable=True)
        return Batch(support.x[order], support.y[order], support.there[order])

    def predict(self, learner: Learner, meta: MetaParams, fast: Batch, x: Tensor) -> Tensor:
        last = (fast.there.sum() - 1).clamp(min=0)
        below = ((fast.x[:, 0] <= x) & fast.there).sum(-1)  # how many are not to the right of each input
        left, right = torch.minimum((below - 1).clamp(min=0), last), torch.minimum(below, last)
        width = fast.x[right] - fast.x[left]
        share = torch.where(width > 0, (x - fast.x[left]) / torch.where(width > 0, width, 1), 0)
        return fast.y[left] + (fast.y[right] - fast.y[left]) * share
