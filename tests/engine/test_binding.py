"""Any module as a model; an algorithm in a user's own loop."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode
from mamlzoo.engine.batch_norm import without_running_statistics
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.errors import PluginError, UsageError
from mamlzoo.runs.name_resolution import as_model
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.meta_sgd import MetaSGD
from mamlzoo_algorithms.protonet import ProtoNet
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")


def bound(network, algorithm=None, task=None, seeds=(0,)):
    return bind_seeds(task or Sine(), as_model(network), algorithm or MAML(), seeds, CPU)


def test_a_seeds_initial_parameters_do_not_depend_on_the_seeds_beside_it():
    alone = bind_seeds(Sine(), MLP(), MAML(), (7,), CPU).meta["network"]["2.weight"]
    beside = bind_seeds(Sine(), MLP(), MAML(), (1, 7), CPU).meta["network"]["2.weight"]
    assert torch.equal(alone[0], beside[1])
    assert not torch.equal(beside[0], beside[1])


def test_a_seeds_initial_parameters_can_be_made_by_hand():
    torch.manual_seed(7)
    by_hand = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    found = bind_seeds(Sine(), MLP(), MAML(), (7,), CPU).meta["network"]
    assert all(torch.equal(found[name][0], value) for name, value in by_hand.named_parameters())


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    bind_seeds(Sine(), MLP(), MAML(), (0,), CPU)
    assert torch.equal(torch.rand(2), expected)


def test_frozen_parameters_stay_out_of_theta():
    network = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    network[0].weight.requires_grad_(False)
    found = bound(network)
    assert set(found.meta["network"]) == {"0.bias", "2.weight", "2.bias"}
    assert set(found.constants["network"]) == {"0.weight"}


def test_frozen_random_parameters_keep_to_their_seed():
    def make():
        network = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
        network[0].weight.requires_grad_(False)
        return network

    fixed = bound(make, seeds=(0, 1)).constants["network"]["0.weight"]
    assert not torch.equal(fixed[0], fixed[1])


def test_tied_parameters_are_one():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(1, 1)
            self.two = self.one

        def forward(self, x):
            return self.two(self.one(x))

    assert set(bound(Tied).meta["network"]) == {"one.weight", "one.bias"}


def test_batch_norm_uses_the_batchs_own_statistics():
    found = bound(lambda: nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)))
    assert found.constants["network"] == {}


def test_the_module_given_is_not_changed():
    network = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    bound(network)
    assert network[1].track_running_stats


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        (nn.Linear(2, 1), "does not fit: the task needs inputs"),
        (nn.Linear(1, 3), r"for n = 2 it returned \[2, 3\], not \[2, 1\]"),
        (nn.Identity(), "has no parameter that requires a gradient"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(network, complaint):
    with pytest.raises(UsageError, match=complaint):
        bound(network)


def test_a_model_that_raises_is_named():
    def broken():
        raise ValueError("no weights")

    with pytest.raises(PluginError, match="model 'broken' failed to build: ValueError: no weights"):
        bound(broken)


def test_a_model_that_builds_no_module_is_named():
    with pytest.raises(PluginError, match="built an int; it must be a torch.nn.Module"):
        bound(lambda: 3)


def test_protonet_gets_a_network_of_its_embedding_size():
    found = bind_seeds(Blobs(), MLP(), ProtoNet(embedding=7), (0,), CPU)
    assert found.meta["network"]["4.bias"].shape == (1, 7)


def line(slope: float) -> Batch:
    x = torch.linspace(-1, 1, 8)[:, None]
    return Batch(x, slope * x)


def test_a_users_own_loop_trains_the_users_own_module():
    torch.manual_seed(0)
    network = nn.Linear(1, 1)
    learner, meta = mamlzoo.bind(MAML(inner_lr=0.1), network, nn.functional.mse_loss)
    episodes = Episode(*(Batch(*map(torch.stack, zip(line(1.0), line(3.0), strict=True))) for _ in range(2)))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    first = None
    for _ in range(100):
        loss = mamlzoo.meta_loss(MAML(inner_lr=0.1), learner, meta, episodes)
        first = first or float(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < first
    assert float(network.weight.detach()) == pytest.approx(2.0, abs=0.01)


class Rowwise(nn.InstanceNorm1d):
    """An instance norm over the numbers of a row."""

    def __init__(self, size):
        super().__init__(1, track_running_stats=True)

    def forward(self, x):
        return super().forward(x[:, None])[:, 0]


def test_binding_leaves_a_batch_norms_statistics_alone():
    network = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    learner, meta = mamlzoo.bind(MAML(), network, nn.functional.mse_loss)
    mamlzoo.adapt(MAML(), learner, meta, line(1.0), steps=2)
    assert network[1].track_running_stats
    assert network[1].running_mean.tolist() == [0.0] * 4
    assert meta["network"]["0.weight"] is network[0].weight


def test_instance_norm_uses_each_examples_own_statistics_in_either_mode_and_keeps_none():
    network = nn.Sequential(nn.Unflatten(1, (2, 2)), nn.InstanceNorm1d(2, track_running_stats=True), nn.Flatten())
    network(torch.randn(9, 4) + 3)
    pure, x = without_running_statistics(network.eval()), torch.tensor([[1.0, 2.0, 5.0, 9.0]])
    assert pure(x) == pytest.approx(torch.tensor([[-1.0, 1.0, -1.0, 1.0]]), abs=1e-3)
    assert not list(pure.buffers())
    assert network[1].running_mean is not None


@pytest.mark.parametrize("norm", [lambda: nn.BatchNorm1d(4), lambda: Rowwise(4)], ids=["batch norm", "instance norm"])
def test_binding_says_that_trained_statistics_are_left_out(norm):
    network = nn.Sequential(nn.Linear(1, 4), norm(), nn.Linear(4, 1))
    network(torch.randn(9, 1))
    with pytest.warns(UserWarning, match="running statistics that norm '1' came with are not used"):
        mamlzoo.bind(MAML(), network, nn.functional.mse_loss)


def test_a_recurrent_network_can_be_trained_one_task_at_a_time():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.out = nn.GRU(1, 3, batch_first=True), nn.Linear(3, 1)

        def forward(self, x):
            return self.out(self.gru(x[:, None])[0][:, 0])

    learner, meta = mamlzoo.bind(MAML(), Recurrent(), nn.functional.mse_loss)
    episodes = Episode(*(Batch(*map(torch.stack, zip(line(1.0), line(3.0), strict=True))) for _ in range(2)))
    mamlzoo.meta_loss(MAML(), learner, meta, episodes, plan="loop").backward()
    assert all(leaf.grad is not None for leaf in mamlzoo.leaves(meta))


def test_a_single_episode_is_not_taken_for_a_meta_batch():
    learner, meta = mamlzoo.bind(MAML(), nn.Linear(1, 1), nn.functional.mse_loss)
    short = Batch(line(1.0).x[:3], line(1.0).y[:3])
    with pytest.raises(UsageError, match=r"must begin with \[meta-batch, examples\]; their shapes are"):
        mamlzoo.meta_loss(MAML(), learner, meta, Episode(line(1.0), short))


def test_the_plans_of_a_meta_loss_agree():
    learner, meta = mamlzoo.bind(MAML(), nn.Linear(1, 1).double(), nn.functional.mse_loss)
    pair = [Batch(*(part.double() for part in line(slope))) for slope in (1.0, 3.0)]
    episodes = Episode(*(Batch(*map(torch.stack, zip(*pair, strict=True))) for _ in range(2)))
    losses = [mamlzoo.meta_loss(MAML(), learner, meta, episodes, plan=plan).item() for plan in ("vmap", "loop")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_adapting_to_ones_own_points_fits_them():
    torch.manual_seed(0)
    algorithm = MAML(inner_lr=0.3)
    learner, meta = mamlzoo.bind(algorithm, nn.Linear(1, 1), nn.functional.mse_loss)
    fast = mamlzoo.adapt(algorithm, learner, meta, line(-2.0), steps=100)
    torch.testing.assert_close(algorithm.predict(learner, meta, fast, line(0).x), line(-2.0).y, atol=1e-4, rtol=0)


def test_rates_that_are_meta_trained_can_be_given_to_an_optimiser():
    learner, meta = mamlzoo.bind(MetaSGD(), nn.Linear(1, 1), nn.functional.mse_loss)
    assert len(mamlzoo.leaves(meta)) == 4
    assert learner.spec.kind == "regression"


def test_an_algorithm_that_wants_other_networks_says_so():
    with pytest.raises(UsageError, match="algorithm 'maml' wants networks named network"):
        mamlzoo.bind(MAML(), {"encoder": nn.Linear(1, 1)}, nn.functional.mse_loss)
