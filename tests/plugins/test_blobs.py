"""Gaussian classes: their statistics, and the best accuracy there is."""

from __future__ import annotations

import pytest
import torch

from mamlzoo_tasks.blobs import Blobs


def sample(task, count=500):
    return task.sample(count, split="train", generator=torch.Generator().manual_seed(0))


def test_shapes_and_labels():
    support, query = sample(Blobs(ways=3, shots=2, queries=4, dimensions=6), count=5)
    assert support.x.shape == (5, 6, 6)
    assert query.x.shape == (5, 12, 6)
    assert support.y[0].tolist() == [0, 0, 1, 1, 2, 2]
    assert query.y.dtype == torch.int64


def test_points_scatter_around_centres_as_declared():
    support, query = sample(Blobs(separation=3.0, shots=20, queries=20))
    points = torch.cat([support.x.unflatten(1, (5, 20)), query.x.unflatten(1, (5, 20))], 2)
    assert float(points.std(2).mean()) == pytest.approx(1.0, abs=0.02)
    assert float(points.mean(2).std()) == pytest.approx((3.0**2 + 1 / 40) ** 0.5, abs=0.05)


def test_support_and_query_share_their_centres():
    support, query = sample(Blobs(shots=200, queries=200), count=20)
    difference = support.x.unflatten(1, (5, 200)).mean(2) - query.x.unflatten(1, (5, 200)).mean(2)
    assert float(difference.abs().max()) < 0.5


def test_two_far_classes_are_told_apart_and_equal_logits_are_a_guess():
    task = Blobs(ways=2)
    target = torch.tensor([0, 1, 1, 0])
    right = torch.nn.functional.one_hot(target, 2).float() * 100
    assert float(task.metrics(right, target)["accuracy"]) == 1.0
    assert float(task.metrics(-right, target)["accuracy"]) == 0.0
    assert float(task.loss(torch.zeros(4, 2), target)) == pytest.approx(0.6931, abs=1e-4)


def test_training_episodes_may_be_of_another_size():
    task = Blobs(ways=3, shots=2, queries=4, train_ways=6, train_shots=1)
    assert task.spec.output_size == 6
    sizes = {}
    for split in ("train", "valid", "test"):
        support, query = task.sample(5, split=split, generator=torch.Generator().manual_seed(0))
        sizes[split] = (support.y.shape[1], query.y.shape[1], int(support.y.max()), int(query.y.max()))
    assert sizes == {"train": (6, 24, 5, 5), "valid": (6, 12, 2, 2), "test": (6, 12, 2, 2)}


def test_training_shots_may_be_a_range_where_a_tests_are_not():
    task = Blobs(shots=2, train_shots="1..4")
    assert sample(task).support.mask is not None
    assert task.sample(2, split="test", generator=torch.Generator().manual_seed(0)).support.mask is None


def test_where_nothing_else_is_said_training_episodes_are_as_those_of_a_test():
    task = Blobs(ways=3)
    train, test = (
        task.sample(2, split=split, generator=torch.Generator().manual_seed(0)) for split in ("train", "test")
    )
    assert torch.equal(train.support.x, test.support.x)
    assert task.spec.output_size == 3


def test_fewer_classes_in_training_than_at_test():
    task = Blobs(ways=5, train_ways=2)
    assert task.spec.output_size == 5
    assert int(sample(task).query.y.max()) == 1
