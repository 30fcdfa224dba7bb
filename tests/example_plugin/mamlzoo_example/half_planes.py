"""A classification task with options and a property for its spec."""

import torch
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Spec, option


class HalfPlanes(mamlzoo.Task):
    """Which side of a hyperplane through 0 does a point lie on? The normal is uniform, points are N(0, I).

    Loss: cross-entropy. Metrics: accuracy, and the loss.
    """

    name = "half-planes"
    higher_is_better = frozenset({"accuracy"})
    dimensions: int = option(4, "input dimensions", minimum=1)
    shots: int = option(10, "support points of an episode", minimum=1)
    queries: int = option(20, "query points of an episode", minimum=1)

    @property
    def spec(self):
        return Spec(input_shape=(self.dimensions,), output_size=2, kind="classification")

    def sample(self, count, *, split, generator):
        def normal(examples):
            return torch.randn(count, examples, self.dimensions, generator=generator, device=generator.device)

        direction = normal(1)
        support, query = (
            Batch(x, ((x * direction).sum(-1) > 0).long()) for x in map(normal, (self.shots, self.queries))
        )
        return Episode(support, query)

    def loss(self, prediction, target):
        return functional.cross_entropy(prediction, target)

    def metrics(self, prediction, target):
        correct = prediction.argmax(-1) == target
        return {"accuracy": correct.to(prediction.dtype).mean(), "loss": self.loss(prediction, target)}
