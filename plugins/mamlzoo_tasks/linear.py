"""Linear functions, the family on which in-context learning is measured."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, Split, option
from mamlzoo_tasks.regression import RegressionTask


class Linear(RegressionTask):
    """Regress a linear function of a vector: y = w·x, with x and w ~ N(0, I_d).

    An episode is one w. Its support set has `shots` points, its query set `queries` others. Noise lies on the support
    targets, and in training on the query targets; test queries are judged without.

    The loss is the mean squared error; what is reported first is `error`, that loss over d, which is 1 for the answer
    0, the mean of all functions. Of k ≤ d points without noise nobody can know more than w's projection on their span,
    so that the least error is that of the shortest w that fits them, least squares,

      E[error] = (d − k)/d,   and 0 from k = d on.

    Reference: Garg, Tsipras, Liang, Valiant, "What Can Transformers Learn In-Context? A Case Study of Simple Function
    Classes", NeurIPS 2022, sections 2 and 3.
    """

    name = "linear"
    dimensions: int = option(5, "numbers in an input, d", minimum=1)
    shots: int | Range = option(10, "support points of an episode, or a range to draw from, as 1..10", minimum=1)
    queries: int = option(10, "query points of an episode", minimum=1)
    noise: float = option(0.0, "standard deviation of noise on the targets, those of test queries excepted", minimum=0)

    @property
    def spec(self) -> Spec:
        return Spec((self.dimensions,), 1)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        w = torch.randn(count, self.dimensions, 1, generator=generator, device=generator.device)
        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        support = self._points(w, shots, self.noise, generator)
        query = self._points(w, self.queries, self.noise if split == "train" else 0.0, generator)
        return Episode(dataclasses.replace(support, mask=mask), query)

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        mse = self.loss(prediction, target)
        return {"error": mse / self.dimensions, "mse": mse}

    def _points(self, w: Tensor, count: int, noise: float, generator: torch.Generator) -> Batch:
        x = torch.randn(len(w), count, self.dimensions, generator=generator, device=generator.device)
        y = x @ w
        if noise:
            y = y + noise * torch.randn(y.shape, generator=generator, device=y.device)
        return Batch(x, y)
