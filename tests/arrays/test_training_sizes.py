"""Training episodes of labelled examples that are of another size than those of a test."""

from __future__ import annotations

import pytest
import torch

import mamlzoo

GENERATOR = torch.Generator().manual_seed(0)
X, Y = torch.randn(20 * 6, 4, generator=GENERATOR), torch.arange(20).repeat_interleave(6)
"""20 classes of 6 examples each; 12 of them are trained on."""
SIZES = {"ways": 3, "shots": 2, "queries": 3, "valid": 0.2, "test": 0.2}


def drawn(task, split):
    return task.sample(4, split=split, generator=torch.Generator().manual_seed(0))


def test_they_have_ways_and_shots_of_their_own():
    task = mamlzoo.task_of_classes(X, Y, train_ways=10, train_shots=1, **SIZES)
    assert task.spec.output_size == 10
    assert drawn(task, "train").support.y.tolist() == [list(range(10))] * 4
    for split in ("valid", "test"):
        assert drawn(task, split).support.y.tolist() == [[0, 0, 1, 1, 2, 2]] * 4


def test_they_may_have_a_range_of_shots():
    task = mamlzoo.task_of_classes(X, Y, train_shots=mamlzoo.Range(1, 3), **SIZES)
    assert drawn(task, "train").support.mask is not None
    assert drawn(task, "test").support.mask is None
    assert task.spec.output_size == 3


def test_more_classes_than_there_are_to_train_on_are_refused():
    message = "in train, of train_ways and train_shots, an episode has ways = 13 classes, and there are 12"
    with pytest.raises(mamlzoo.UsageError, match=message):
        mamlzoo.task_of_classes(X, Y, train_ways=13, **SIZES)


def test_prototypes_are_trained_on_more_classes_than_they_are_tested_on():
    task = mamlzoo.task_of_classes(X, Y, train_ways=10, train_shots=1, **SIZES)
    result = mamlzoo.run(task, "mlp", "protonet", iterations=1, meta_batch=2, test_tasks=4, plan="loop")
    assert all(torch.as_tensor(values).isfinite().all() for values in result.evaluation.values.values())
