"""A classification task with options and a property for its spec."""

__mamlzoo_contract__ = 2

import dataclasses

import torch
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, option


class HalfPlanes(mamlzoo.Task):
    """Which side of a hyperplane through 0 does a point lie on? The normal is uniform, points are N(0, I).

    Loss: cross-entropy. Metrics: accuracy, and the loss.
    """

    name = "half-planes"
    higher_is_better = frozenset({"accuracy"})
    dimensions: int = option(4, "input dimensions", minimum=1)
    shots: int | Range = option(10, "support points of an episode, or a range to draw from, as 5..10", minimum=1)
    queries: int = option(20, "query points of an episode", minimum=1)

    @property
    def spec(self):
        return Spec(input_shape=(self.dimensions,), output_size=2, kind="classification")

    def sample(self, count, *, split, generator):
        def normal(examples):
            return torch.randn(count, examples, self.dimensions, generator=generator, device=generator.device)

        direction = normal(1)
        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        support, query = (Batch(x, ((x * direction).sum(-1) > 0).long()) for x in map(normal, (shots, self.queries)))
        return Episode(dataclasses.replace(support, mask=mask), query)

    def loss(self, prediction, target):
        return functional.cross_entropy(prediction, target)

    def metrics(self, prediction, target):
        correct = prediction.argmax(-1) == target
        return {"accuracy": correct.to(prediction.dtype).mean(), "loss": self.loss(prediction, target)}
