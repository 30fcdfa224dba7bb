"""Nearest means of raw inputs, by hand, and a run without a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Input, Spec
from mamlzoo_algorithms.nearest_mean import NearestMean
from mamlzoo_algorithms.protonet import ProtoNet


def logits(algorithm, support, x, networks=None, classes=2):
    spec = Spec(x.shape[1:], classes, kind="classification")
    learner, meta = mamlzoo.bind(algorithm, networks or {}, functional.cross_entropy, spec)
    return algorithm.predict(learner, meta, algorithm.start(learner, meta, support), x)


def test_logits_are_negative_halves_of_squared_distances_from_class_means():
    support = Batch(torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 5.0]]), torch.tensor([0, 0, 1]))
    found = logits(NearestMean(), support, torch.tensor([[1.0, 2.0], [5.0, 4.0]]))
    assert found.tolist() == [[-2.0, -12.5], [-16.0, -0.5]]


def test_it_is_prototypical_networks_rule_in_the_space_of_inputs():
    identity = nn.Linear(3, 3, bias=False)
    nn.init.eye_(identity.weight)
    support, x = Batch(torch.randn(6, 3), torch.tensor([0, 1, 1, 0, 1, 1])), torch.randn(4, 3)
    prototypical = logits(ProtoNet(embedding=3), support, x, identity)
    torch.testing.assert_close(logits(NearestMean(scale=1.0), support, x), prototypical)


def test_images_are_taken_as_vectors():
    images, x = torch.randn(4, 1, 2, 3), torch.randn(5, 1, 2, 3)
    labels = torch.tensor([0, 1, 0, 1])
    flat = logits(NearestMean(), Batch(images.flatten(1), labels), x.flatten(1))
    torch.testing.assert_close(logits(NearestMean(), Batch(images, labels), x), flat)


def test_a_run_says_that_the_model_has_no_part():
    result = mamlzoo.run("blobs", "mlp", "nearest-mean", test_tasks=50, seeds=[0, 1])
    assert result.remarks == ["model 'mlp' has no part in it: algorithm 'nearest-mean' wants no network"]
    assert len(result.checkpoint.history) == 0
    assert 0.7 < result.evaluation.mean[0] < 0.9


def test_it_refuses_what_has_no_classes_or_is_no_tensor_of_numbers():
    with pytest.raises(
        mamlzoo.UsageError, match="'nearest-mean' classifies by class means, and the task is regression"
    ):
        NearestMean().networks(Spec((1,), 1))
    words = Spec(inputs=Input((3,), vocabulary=9), output_size=2, kind="classification")
    with pytest.raises(
        mamlzoo.UsageError, match=r"one tensor of numbers, and the task's are \[n, 3\] of whole numbers b"
    ):
        NearestMean().networks(words)
    several = Spec(inputs={"a": Input((3,)), "b": Input(())}, output_size=2, kind="classification")
    with pytest.raises(mamlzoo.UsageError, match="one tensor of numbers, and the task's are several tensors"):
        NearestMean().networks(several)
