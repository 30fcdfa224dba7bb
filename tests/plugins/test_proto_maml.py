"""Proto-MAML: a head of class means, which gradients then adapt."""

from __future__ import annotations

import pytest
import torch
from neuron_by_hand import ZERO, gradients, padded
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, Spec
from mamlzoo_algorithms.proto_maml import ProtoMAML
from mamlzoo_algorithms.protonet import ProtoNet

EMBEDDING = 4


def points():
    """An episode of unbalanced classes: 4, 2 and 1 support points."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(13, 2, generator=generator, dtype=torch.float64)
    return Episode(Batch(x[:7], torch.tensor([0, 0, 1, 0, 2, 1, 0])), Batch(x[7:], torch.tensor([0, 1, 2, 2, 1, 0])))


def bound(algorithm, classes=3):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, EMBEDDING)).double()
    return mamlzoo.bind(algorithm, network, nn.functional.cross_entropy, Spec((2,), classes, "classification"))


def test_the_head_starts_from_twice_the_prototypes_and_their_negative_squares():
    identity = nn.Linear(2, 2, bias=False)
    identity.weight.data = torch.eye(2)
    algorithm, spec = ProtoMAML(embedding=2), Spec((2,), 2, "classification")
    learner, meta = mamlzoo.bind(algorithm, identity, nn.functional.cross_entropy, spec)
    support = Batch(torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 5.0]]), torch.tensor([0, 0, 1]))
    head = algorithm.start(learner, meta, support).head
    assert head["weight"].tolist() == [[2.0, 0.0], [10.0, 10.0]]
    assert head["bias"].tolist() == [-1.0, -50.0]


def test_without_a_step_it_is_protonet():
    # −‖f − c‖² = 2cᵀf − ‖c‖² − ‖f‖², and the softmax does not see ‖f‖².
    data, found = points(), []
    for algorithm in (ProtoMAML(embedding=EMBEDDING, inner_steps=0), ProtoNet(embedding=EMBEDDING)):
        learner, meta = bound(algorithm)
        fast = algorithm.start(learner, meta, data.support)
        shares = algorithm.predict(learner, meta, fast, data.query.x).softmax(-1)
        found.append(
            (shares, algorithm.meta_loss(learner, meta, data, ZERO)[0], gradients(algorithm, learner, meta, data))
        )
    torch.testing.assert_close(*found)


def test_a_step_descends_by_the_gradient_of_head_and_body():
    # Of cross-entropy, ∂L/∂logit is (softmax − one-hot)/n; from there by hand into the head, and by the chain rule into
    # the last layer, whose output e feeds the logits W·e + b.
    data, algorithm = points(), ProtoMAML(embedding=EMBEDDING, inner_lr=0.2)
    learner, meta = bound(algorithm)
    before = algorithm.start(learner, meta, data.support)
    after = algorithm.adapt(learner, meta, before, data.support)
    embedded = learner.predict(meta["network"], data.support.x)
    hidden = torch.tanh(data.support.x @ meta["network"]["0.weight"].T + meta["network"]["0.bias"])
    weight = before.head["weight"]
    off = (embedded @ weight.T + before.head["bias"]).softmax(-1) - nn.functional.one_hot(data.support.y, 3)
    off = off / len(data.support.y)
    torch.testing.assert_close(after.head["weight"], weight - 0.2 * off.T @ embedded)
    torch.testing.assert_close(after.head["bias"], before.head["bias"] - 0.2 * off.sum(0))
    moved = meta["network"]["2.weight"] - 0.2 * (off @ weight).T @ hidden
    torch.testing.assert_close(after.body["2.weight"], moved)


def test_the_meta_gradient_goes_through_the_prototypes():
    # By a difference along a direction: the whole of it, which a head held constant would not give.
    data, algorithm = points(), ProtoMAML(embedding=EMBEDDING, inner_lr=0.2, inner_steps=2)
    learner, meta = bound(algorithm)
    generator = torch.Generator().manual_seed(3)
    way = {n: torch.randn(v.shape, generator=generator, dtype=v.dtype) for n, v in meta["network"].items()}

    def loss(step):
        theta = {name: value.detach() + step * way[name] for name, value in meta["network"].items()}
        return float(algorithm.meta_loss(learner, {"network": theta}, data, ZERO)[0])

    found = gradients(algorithm, learner, meta, data)
    along = sum(float((value * way[name.removeprefix("network.")]).sum()) for name, value in found.items())
    assert along == pytest.approx((loss(1e-5) - loss(-1e-5)) / 2e-5, rel=1e-6)


@pytest.mark.parametrize("inner_steps", [0, 2])
def test_a_class_without_support_points_leaves_the_others_as_if_it_were_not_there(inner_steps):
    data, found = points(), []
    for labels, classes in ((torch.tensor([0, 2]), 4), (torch.tensor([0, 1]), 2)):
        algorithm = ProtoMAML(embedding=EMBEDDING, inner_steps=inner_steps, inner_lr=0.2)
        learner, meta = bound(algorithm, classes)
        episode = Episode(*(Batch(batch.x, labels[batch.y.clamp(max=1)]) for batch in data))
        fast = mamlzoo.adapt(algorithm, learner, meta, episode.support, inner_steps)
        shares = algorithm.predict(learner, meta, fast, episode.query.x).softmax(-1)
        assert shares[:, [at for at in range(classes) if at not in labels]].eq(0).all()
        found.append((shares[:, labels], gradients(algorithm, learner, meta, episode)))
    torch.testing.assert_close(*found)


def test_padding_belongs_to_no_class():
    data, algorithm = points(), ProtoMAML(embedding=EMBEDDING, inner_steps=2)
    plain, same = (gradients(algorithm, *bound(algorithm), given) for given in (data, padded(data)))
    torch.testing.assert_close(plain, same)


def test_regression_is_refused():
    with pytest.raises(mamlzoo.UsageError, match="'proto-maml' starts from class means, and the task is regression"):
        ProtoMAML().networks(Spec((1,), 1))
