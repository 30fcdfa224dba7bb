"""Algorithms that compare with classes: those without a support example are as if they were not there."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Spec
from mamlzoo_algorithms.lr_d2 import LRD2
from mamlzoo_algorithms.matching_networks import MatchingNetworks
from mamlzoo_algorithms.nearest_mean import NearestMean
from mamlzoo_algorithms.protonet import ProtoNet
from mamlzoo_algorithms.r2d2 import R2D2
from mamlzoo_algorithms.relation_networks import RelationNetworks
from mamlzoo_tasks.blobs import Blobs

EACH = pytest.mark.parametrize(
    "algorithm",
    [
        ProtoNet(embedding=3),
        MatchingNetworks(embedding=3),
        RelationNetworks(embedding=3),
        RelationNetworks(embedding=3, pool="mean", loss="task"),
        R2D2(embedding=3),
        LRD2(embedding=3),
        NearestMean(),
    ],
    ids=lambda algorithm: algorithm.name,
)
SHAPES = {"network": (2, 3), "relation": (6, 1)}


@EACH
def test_they_change_neither_loss_nor_gradient_nor_another_classes_share(algorithm):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    y = torch.tensor([0, 2, 2, 0, 2, 0])

    def results(classes, labels):
        spec = Spec((2,), classes, kind="classification")
        torch.manual_seed(0)
        networks = {name: nn.Linear(*SHAPES[name]).double() for name in algorithm.networks(spec)}
        learner, meta = mamlzoo.bind(algorithm, networks, functional.cross_entropy, spec)
        meta = mamlzoo.tree_map(lambda leaf: leaf.detach().double().requires_grad_(), meta)
        episode = Episode(Batch(x[:4], labels[:4]), Batch(x[4:], labels[4:]))
        loss, _ = algorithm.meta_loss(learner, meta, episode, torch.tensor(0.0))
        logits = algorithm.predict(learner, meta, algorithm.start(learner, meta, episode.support), x)
        return loss, torch.autograd.grad(loss, mamlzoo.leaves(meta)), logits.softmax(-1)

    loss, gradient, shares = results(4, y)
    alone, gradient_alone, shares_alone = results(2, y // 2)
    torch.testing.assert_close((loss, gradient), (alone, gradient_alone))
    torch.testing.assert_close(shares[:, [0, 2]], shares_alone)
    assert shares[:, [1, 3]].eq(0).all()


@EACH
def test_training_episodes_may_have_more_classes_than_test_episodes(algorithm):
    task = Blobs(ways=2, shots=3, train_ways=6, train_shots=2, queries=4, separation=5.0)
    result = mamlzoo.run(
        task, "mlp", algorithm, options={"model.hidden": (8,)}, iterations=2, meta_batch=2, test_tasks=20, threads=1
    )
    assert result.evaluation.values["loss"].shape == (1, 20, 11)
    assert all(torch.as_tensor(values).isfinite().all() for values in result.evaluation.values.values())
