"""Meta-training against a loop written out, and what happens when it diverges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from mamlzoo import trees
from mamlzoo.engine import training
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.gradients import EAGER
from mamlzoo.engine.plan_choice import Training, prepare
from mamlzoo.engine.training import TrainingRecord, train
from mamlzoo.errors import PluginError
from mamlzoo_algorithms.fomaml import FOMAML
from mamlzoo_algorithms.maml import MAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")


def finish(generator):
    records = []
    while True:
        try:
            records.append(next(generator))
        except StopIteration as end:
            return records, end.value


def trained(algorithm, seeds=(0,), iterations=20, plan="vmap", optimizer="adam", lr=1e-3, task=None, meta_batch=3):
    task = task or Sine()
    bound = bind_seeds(task, MLP(), algorithm, seeds, CPU)
    stream = TrainingStream(task, seeds, meta_batch, CPU)
    _, (steps, _) = finish(prepare(bound, stream, Training(iterations, "mean", optimizer, lr, plan)))
    events, state = finish(train(stream, steps, iterations))
    return bound, stream, [event for event in events if isinstance(event, TrainingRecord)], state.meta


@pytest.mark.parametrize("algorithm", [MAML(inner_steps=2), FOMAML(inner_steps=2)], ids=["maml", "fomaml"])
def test_training_equals_a_loop_written_out(algorithm):
    bound, stream, records, meta = trained(algorithm)
    network = bound.learner.networks["network"]
    theta = {name: value[0].clone().requires_grad_() for name, value in bound.meta["network"].items()}
    optimizer = torch.optim.Adam(theta.values(), lr=1e-3)
    losses = []
    for episodes in stream.steps(0, 20):
        total = torch.tensor(0.0)
        for task in range(3):
            support, query = trees.index(episodes, (0, task))
            phi = theta
            for _ in range(2):
                loss = nn.functional.mse_loss(functional_call(network, phi, (support.x,)), support.y)
                gradients = torch.autograd.grad(loss, list(phi.values()), create_graph=isinstance(algorithm, MAML))
                phi = {name: p - 0.01 * g for (name, p), g in zip(phi.items(), gradients, strict=True)}
            total = total + nn.functional.mse_loss(functional_call(network, phi, (query.x,)), query.y) / 3
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert [float(record.losses[0]) for record in records] == pytest.approx(losses, rel=1e-4)
    for name, value in theta.items():
        torch.testing.assert_close(meta["network"][name][0], value.detach(), rtol=1e-4, atol=1e-5)


def test_training_twice_gives_the_same_bits():
    *_, first = trained(MAML(), seeds=(0, 1))
    *_, second = trained(MAML(), seeds=(0, 1))
    assert all(torch.equal(a, b) for a, b in zip(trees.leaves(first), trees.leaves(second), strict=True))


def test_training_leaves_the_initial_parameters_alone():
    bound, *_, meta = trained(MAML(), iterations=2)
    assert not torch.equal(bound.meta["network"]["0.weight"], meta["network"]["0.weight"])
    fresh = bind_seeds(Sine(), MLP(), MAML(), (0,), CPU)
    assert torch.equal(bound.meta["network"]["0.weight"], fresh.meta["network"]["0.weight"])


def test_records_average_what_happened_since_the_one_before():
    _, _, records, _ = trained(MAML(inner_steps=0), iterations=1003, meta_batch=1)
    assert [record.step for record in records] == [*range(2, 1003, 2), 1003]


class Explosive(MAML):
    """A loss that overflows where a network's first bias is large."""

    name = "explosive"

    def meta_loss(self, learner, meta, episode, progress):
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        doomed = meta["network"]["0.bias"][0] > 0
        return loss * torch.exp(1e4 * progress * doomed), logs


@pytest.mark.parametrize("plan", [*EAGER, pytest.param("compile", marks=pytest.mark.slow)])
def test_a_diverged_seed_is_marked_and_the_others_go_on(plan):
    seeds = tuple(range(6))
    start = bind_seeds(Sine(), MLP(), Explosive(), seeds, CPU).meta["network"]["0.bias"][:, 0]
    _, _, records, meta = trained(Explosive(), seeds=seeds, plan=plan, optimizer="sgd", lr=1e-4)
    doomed = {row for row, bias in enumerate(start) if bias > 0}
    assert 0 < len(doomed) < 6
    assert set(records[-1].diverged) == doomed
    assert records[-1].step == 20
    assert {*records[-1].diverged.values()} == {1}  # exp(1e4/20) overflows, exp(0) does not
    for row in range(6):
        assert bool(np.isfinite(records[-1].losses[row])) == (row not in doomed)
        assert bool(torch.isfinite(meta["network"]["2.weight"][row]).all()) == (row not in doomed)


def in_pieces(monkeypatch, seconds, iterations, seeds):
    """What training tells, where it says where it stands after so many seconds."""
    monkeypatch.setattr(training, "PIECE", seconds)
    task, doomed = Sine(), Explosive()
    bound = bind_seeds(task, MLP(), doomed, seeds, CPU)
    stream = TrainingStream(task, seeds, 3, CPU)
    _, (steps, _) = finish(prepare(bound, stream, Training(iterations, "mean", "sgd", 1e-4, "vmap")))
    states = {}
    records = []
    for event in train(stream, steps, iterations):
        if isinstance(event, TrainingRecord):
            records.append((event.step, event.losses.tolist(), event.diverged))
        else:
            states[event.step] = trees.ravel(trees.stop_gradient(event.meta)).clone()
    return repr(records), states


@pytest.mark.parametrize("seeds", [(0, 1, 2, 3), (3,)], ids=["some diverge", "all diverge"])
def test_in_how_many_pieces_training_is_cut_changes_nothing_of_what_it_tells(monkeypatch, seeds):
    records, every = in_pieces(monkeypatch, 0.0, 80, seeds)
    same, few = in_pieces(monkeypatch, 1e9, 80, seeds)
    assert "inf" in records or "nan" in records
    assert same == records
    assert set(few) <= set(every)
    for step, theta in few.items():
        assert trees.equal(theta.nan_to_num(), every[step].nan_to_num())
    assert max(few) == max(every)


def test_training_ends_early_when_every_seed_has_diverged():
    _, _, records, _ = trained(MAML(inner_steps=5, inner_lr=100.0), optimizer="sgd", lr=10.0)
    assert records[-1].diverged == {0: records[-1].diverged[0]}
    assert records[-1].step < 20


class Constant(MAML):
    """A meta-loss that forgets θ."""

    name = "constant"

    def meta_loss(self, learner, meta, episode, progress):
        return episode.query.y.sum(), {}


class Vector(MAML):
    """A meta-loss that is no scalar."""

    name = "vector"

    def meta_loss(self, learner, meta, episode, progress):
        return learner.predict(meta["network"], episode.query.x)[:, 0], {}


@pytest.mark.parametrize("plan", EAGER)
def test_a_meta_loss_without_theta_is_refused(plan):
    with pytest.raises(PluginError, match="algorithm 'constant': its meta-loss does not depend on θ"):
        trained(Constant(), plan=plan)


@pytest.mark.parametrize("plan", EAGER)
def test_a_meta_loss_that_is_no_scalar_is_refused(plan):
    with pytest.raises(PluginError, match=r"algorithm 'vector': meta-loss has shape \[10\], it must be a scalar"):
        trained(Vector(), plan=plan)


class Steep(MAML):
    """A meta-loss a hundred times as steep."""

    name = "steep"

    def meta_loss(self, learner, meta, episode, progress):
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        return 100 * loss, logs


def test_a_last_update_that_breaks_theta_is_divergence():
    _, _, records, _ = trained(Steep(), iterations=1, optimizer="sgd", lr=1e38)
    assert np.isfinite(records[-1].losses).all()
    assert records[-1].diverged == {0: 0}


class Chatty(MAML):
    """Logs something that is no scalar."""

    name = "chatty"

    def meta_loss(self, learner, meta, episode, progress):
        loss, _ = super().meta_loss(learner, meta, episode, progress)
        return loss, {"errors": episode.query.y[:, 0]}


@pytest.mark.parametrize("plan", EAGER)
def test_a_log_that_is_no_scalar_is_refused(plan):
    with pytest.raises(PluginError, match=r"algorithm 'chatty': log 'errors' has shape \[10\], it must be a scalar"):
        trained(Chatty(), plan=plan)
