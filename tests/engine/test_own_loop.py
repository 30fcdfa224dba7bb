"""A user's own loop on a user's own data is told what is wrong with them, as a run is told about a task."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Spec, UsageError
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.protonet import ProtoNet

PLANS = ("vmap", "loop")
LINE = Spec((1,), 1)
THREE = Spec((2,), 3, "classification")


def numbers(*shape):
    return torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape)


def labels(*shape, classes=3):
    return (torch.arange(torch.Size(shape).numel()) % classes).reshape(shape)


def meta_loss(x, y, *, loss=functional.mse_loss, network=None, spec=None, plan="loop", algorithm=None, **settings):
    algorithm = algorithm or MAML()
    learner, meta = mamlzoo.bind(algorithm, network or nn.Linear(x.shape[-1], 1), loss, spec)
    return mamlzoo.meta_loss(algorithm, learner, meta, Episode(Batch(x, y), Batch(x, y)), plan=plan, **settings)


REFUSED = {
    "no axis of episodes": (
        {"x": numbers(5, 1), "y": numbers(5, 1)},
        r"output for an episode has the shape \[1\]; it must be \[examples, output size\].* must begin with \[meta-batch",
    ),
    "no axis of episodes, by the spec": (
        {"x": numbers(5, 1), "y": numbers(5, 1), "spec": LINE},
        r"support.x has the shape \[5, 1\]; every part of the episodes must begin with \[meta-batch, examples\], so by the "
        r"spec \[5, 1, 1\]",
    ),
    "targets that would broadcast": (
        {"x": numbers(4, 5, 1), "y": numbers(4, 5)},
        r"targets of shape \[5\] beside outputs of shape \[5, 1\] would be broadcast, each compared with each; give them a "
        r"last axis, y\[..., None\]",
    ),
    "targets that are whole numbers and would broadcast": (
        {"x": numbers(4, 5, 1), "y": labels(4, 5)},
        r"targets of shape \[5\] beside outputs of shape \[5, 1\] would be broadcast",
    ),
    "targets that would broadcast, by the spec": (
        {"x": numbers(4, 5, 1), "y": numbers(4, 5), "spec": LINE},
        r"support.y has the shape \[4, 5\]; by the spec it must be \[4, 5, 1\]",
    ),
    "as many outputs as targets, which would broadcast": (
        {"x": numbers(4, 5, 1), "y": numbers(4, 5), "network": nn.Linear(1, 5)},
        r"targets of shape \[5\] beside outputs of shape \[5, 5\]: a regression's must be \[5, 5\], class indices torch.int64",
    ),
    "more targets than inputs": (
        {"x": numbers(4, 5, 1), "y": numbers(4, 6, 1)},
        "support.x has 5 examples, and support.y has 6",
    ),
    "one target for all outputs": (
        {"x": numbers(4, 5, 1), "y": numbers(4, 5, 1), "network": nn.Sequential(nn.Linear(1, 1), nn.Unflatten(0, (5, 1)))},
        r"targets of shape \[5, 1\] beside outputs of shape \[5, 1, 1\]",
    ),
    "labels with an axis too many": (
        {"x": numbers(4, 6, 2), "y": labels(4, 6, 1), "loss": functional.cross_entropy, "network": nn.Linear(2, 3), "spec": THREE},
        r"support.y has the shape \[4, 6, 1\]; by the spec it must be \[4, 6\]",
    ),
    "labels that are floating-point numbers": (
        {"x": numbers(4, 6, 2), "y": labels(4, 6).float(), "loss": functional.cross_entropy, "network": nn.Linear(2, 3)},
        "class indices torch.int64, not torch.float32",
    ),
    "labels of another integer type": (
        {"x": numbers(4, 6, 2), "y": labels(4, 6).int(), "loss": functional.cross_entropy, "network": nn.Linear(2, 3)},
        "class indices must be torch.int64, not torch.int32",
    ),
    "labels from 1": (
        {"x": numbers(4, 6, 2), "y": labels(4, 6) + 1, "loss": functional.cross_entropy, "network": nn.Linear(2, 3), "spec": THREE},
        "support.y has classes 1 … 3; by the spec they must be 0 … 2",
    ),
    "inputs of another type than θ": (
        {"x": numbers(4, 5, 1).double(), "y": numbers(4, 5, 1)},
        r"support.x is torch.float64, and θ is torch.float32; give it as support.x.to\(torch.float32\)",
    ),
    "targets of another type than the outputs": (
        {"x": numbers(4, 5, 1), "y": numbers(4, 5, 1).double()},
        "targets of torch.float64 beside outputs of torch.float32",
    ),
    "a loss of every example": (
        {"x": numbers(4, 5, 1), "y": numbers(4, 5, 1), "loss": nn.MSELoss(reduction="none")},
        r"the loss has shape \[5, 1\]; it must be a scalar tensor: end it with .mean\(\)",
    ),
    "a list for a tensor": ({"x": numbers(4, 5, 1), "y": [[1.0]]}, "support.y.0.0 must be a tensor, not float"),
    "a reduction that there is not": (
        {"x": numbers(4, 5, 1), "y": numbers(4, 5, 1), "reduction": "max"},
        "there is no reduction 'max'; there are: mean, sum",
    ),
}  # fmt: skip


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED)
def test_data_that_would_be_taken_for_something_else_are_refused(given, said, plan):
    with pytest.raises(UsageError, match=said):
        meta_loss(plan=plan, **given)


def bernoulli(prediction, target):
    return functional.binary_cross_entropy_with_logits(prediction[:, 0], target.float())


def gaussian(prediction, target):
    mean, log_variance = prediction.split(1, dim=1)
    return (log_variance + (target - mean).square() / log_variance.exp()).mean()


TAKEN = {
    "a regression": {"x": numbers(4, 5, 1), "y": numbers(4, 5, 1), "spec": LINE},
    "a classification": {
        "x": numbers(4, 6, 2), "y": labels(4, 6), "loss": functional.cross_entropy, "network": nn.Linear(2, 3),
        "spec": THREE,
    },
    "class means": {
        "x": numbers(4, 6, 2), "y": labels(4, 6), "loss": functional.cross_entropy, "network": nn.Linear(2, 3),
        "spec": THREE, "algorithm": ProtoNet(),
    },
    "a loss that pairs the only output with labels": {"x": numbers(4, 5, 1), "y": labels(4, 5, classes=2), "loss": bernoulli},
    "a loss that pairs means and variances with targets": {
        "x": numbers(4, 5, 1), "y": numbers(4, 5, 1), "loss": gaussian, "network": nn.Linear(1, 2),
    },
    "inputs that are looked up": {
        "x": labels(4, 5), "y": numbers(4, 5, 1), "network": nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 1)),
    },
    "float64 throughout": {
        "x": numbers(4, 5, 1).double(), "y": numbers(4, 5, 1).double(), "network": nn.Linear(1, 1).double(),
    },
}  # fmt: skip


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("given", TAKEN.values(), ids=TAKEN)
def test_data_that_fit_are_taken(given, plan):
    assert meta_loss(plan=plan, **given).isfinite()


def test_the_learners_own_loss_and_gradient_refuse_the_same():
    learner, meta = mamlzoo.bind(MAML(), nn.Linear(1, 1), functional.mse_loss)
    batch = Batch(numbers(5, 1), numbers(5))
    for function in (learner.loss, learner.gradient):
        with pytest.raises(UsageError, match="would be broadcast"):
            function(meta["network"], batch)
    with pytest.raises(UsageError, match="would be broadcast"):
        mamlzoo.adapt(MAML(), learner, meta, batch, steps=1)


class SecondReference(nn.Linear):
    """Uses its weight by a list."""

    def __init__(self):
        super().__init__(1, 1)
        self.weights = [self.weight]

    def forward(self, x):
        return x @ self.weights[0] + self.bias


class Counting(nn.Linear):
    """Counts its calls."""

    def __init__(self):
        super().__init__(1, 1)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (
            SecondReference,
            r"the network computes with 'weights\[0\]' \(a second reference to 'weight'\), which is not in θ",
        ),
        (Counting, "the network changes 'calls' when it is called"),
    ],
)
def test_a_network_that_is_no_function_of_theta_is_refused_in_ones_own_loop_too(network, said):
    with pytest.raises(UsageError, match=said):
        meta_loss(numbers(4, 5, 1), numbers(4, 5, 1), network=network())


def test_dropout_is_ones_own_choice_in_ones_own_loop():
    network = nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    assert meta_loss(numbers(4, 5, 1), numbers(4, 5, 1), network=network).isfinite()


def test_trying_a_network_changes_no_number_of_the_loop():
    def loss(tried):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
        learner, meta = mamlzoo.bind(MAML(), network, functional.mse_loss)
        episodes = Episode(*(Batch(numbers(4, 5, 1), numbers(4, 5, 1)) for _ in range(2)))
        if tried:
            mamlzoo.meta_loss(MAML(), learner, meta, episodes, plan="loop")
        torch.manual_seed(1)
        return mamlzoo.meta_loss(MAML(), learner, meta, episodes, plan="loop")

    assert loss(tried=False) == loss(tried=True)


CLASSES = {"network": nn.Linear(2, 3), "loss": functional.cross_entropy, "spec": THREE}


def bound(network, loss=functional.mse_loss, spec=None):
    """A learner that has met no data yet, θ, and the meta-loss as a function of θ and of episodes' x and y."""
    learner, meta = mamlzoo.bind(MAML(), network, loss, spec)

    def one(theta, x, y):
        return mamlzoo.meta_loss(MAML(), learner, theta, Episode(Batch(x, y), Batch(x, y)))

    return one, meta


BOUND = {
    "a regression": ({"network": nn.Linear(1, 1)}, numbers(2, 4, 5, 1), numbers(2, 4, 5, 1)),
    "a classification": (CLASSES, numbers(2, 4, 6, 2), labels(2, 4, 6)),
}


@pytest.mark.parametrize(("given", "x", "y"), BOUND.values(), ids=BOUND)
def test_several_meta_batches_are_mapped_by_vmap_from_the_first_call_on(given, x, y):
    one, meta = bound(**given)
    mapped = torch.func.vmap(one, in_dims=(None, 0, 0))(meta, x, y)
    torch.testing.assert_close(mapped, torch.stack([one(meta, *row) for row in zip(x, y, strict=True)]))


@pytest.mark.parametrize(("given", "x", "y"), BOUND.values(), ids=BOUND)
def test_the_meta_gradient_of_torch_func_is_that_of_backward(given, x, y):
    one, meta = bound(**given)
    found = torch.func.grad(one)(meta, x[0], y[0])
    leaves = list(meta["network"].values())
    expected = torch.autograd.grad(one(meta, x[0], y[0]), leaves)
    torch.testing.assert_close(list(found["network"].values()), list(expected))


def test_what_vmap_could_not_look_at_is_looked_at_by_the_next_call_outside():
    one, meta = bound(Counting())
    x = numbers(2, 4, 5, 1)
    assert torch.func.vmap(one, in_dims=(None, 0, 0))(meta, x, x).isfinite().all()
    with pytest.raises(UsageError, match="changes 'calls'"):
        one(meta, x[0], x[0])


def test_values_are_looked_at_when_a_learner_is_first_seen_and_shapes_always(monkeypatch):
    one, meta = bound(**CLASSES)
    x, y = numbers(4, 6, 2), labels(4, 6)
    with pytest.raises(UsageError, match="has classes 1 … 3"):
        one(meta, x, y + 1)
    one(meta, x, y)
    with monkeypatch.context() as patch:  # as what waits for a GPU would raise within torch.cuda.set_sync_debug_mode
        patch.setattr(torch.Tensor, "__int__", None)
        patch.setattr(torch.Tensor, "__bool__", None)
        assert one(meta, x, y).ndim == 0
    with pytest.raises(UsageError, match=r"support.y has the shape \[4, 6, 1\]"):
        one(meta, x, y[..., None])
