"""What `auto` chooses where the plans differ most. `pytest -m benchmark -n 0 tests/benchmarks`"""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, Spec, option

pytestmark = pytest.mark.benchmark


class Images(mamlzoo.Task):
    """Few-shot classification of noise with a class's mean: for its shapes, those of Omniglot."""

    name = "images"
    ways: int = option(5, "classes", minimum=2)

    @property
    def spec(self):
        return Spec(input_shape=(1, 28, 28), output_size=self.ways, kind="classification")

    def sample(self, count, *, split, generator):
        means = torch.randn(count, self.ways, 1, 28, 28, generator=generator)
        y = torch.arange(self.ways).expand(count, -1)
        support, query = (means + 0.5 * torch.randn(means.shape, generator=generator) for _ in range(2))
        return Episode(Batch(support, y), Batch(query, y))

    def loss(self, prediction, target):
        return nn.functional.cross_entropy(prediction, target)

    def metrics(self, prediction, target):
        return {"accuracy": (prediction.argmax(-1) == target).float().mean()}


def convolutional():
    def block(inputs):
        return [nn.Conv2d(inputs, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*block(1), *block(64), *block(64), *block(64), nn.Flatten(), nn.Linear(64, 5))


def test_second_order_convolutions_on_a_cpu_are_never_batched_eagerly():
    result = mamlzoo.run(Images(), convolutional, "maml", meta_batch=16, iterations=12, test_tasks=4, test_steps=1)
    print(result.plan)
    assert result.plan.plan in {"loop", "compile"}


def test_a_thousand_tasks_by_a_hundred_steps_by_five_seeds_are_evaluated_in_seconds():
    start = time.perf_counter()
    result = mamlzoo.run(algorithm="scratch", seeds=5, test_steps=100)
    print(f"\n{time.perf_counter() - start:.1f} s, of which {result.timing.evaluate_seconds:.1f} s of evaluation")
    assert result.timing.evaluate_seconds < 60
