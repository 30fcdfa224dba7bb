"""Images as large as Omniglot's, and the field's network of four blocks, to be timed."""

from __future__ import annotations

import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, Spec, option


class Images(mamlzoo.Task):
    """Few-shot classification of noise with a class's mean, 28 × 28: for its shapes."""

    name = "images"
    ways: int = option(5, "classes", minimum=2)
    queries: int = option(5, "query images of a class", minimum=1)

    @property
    def spec(self):
        return Spec(input_shape=(1, 28, 28), output_size=self.ways, kind="classification")

    def sample(self, count, *, split, generator):
        means = torch.randn(count, self.ways, 1, 28, 28, generator=generator)
        labels = torch.arange(self.ways).expand(count, -1)
        support, query = (
            Batch(
                (own := means.repeat(1, images, 1, 1, 1)) + 0.5 * torch.randn(own.shape, generator=generator),
                labels.repeat(1, images),
            )
            for images in (1, self.queries)
        )
        return Episode(support, query)

    def loss(self, prediction, target):
        return nn.functional.cross_entropy(prediction, target)

    def metrics(self, prediction, target):
        return {"accuracy": (prediction.argmax(-1) == target).float().mean()}


def _network(filters, spec):
    blocks = []
    for channels in (1, filters, filters, filters):
        blocks += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(filters, spec.output_size))


class Conv32(mamlzoo.Model):
    """Four blocks of 32 filters."""

    name = "conv32"

    def build(self, spec):
        return _network(32, spec)


class Conv64(mamlzoo.Model):
    """Four blocks of 64 filters."""

    name = "conv64"

    def build(self, spec):
        return _network(64, spec)
