"""Verification finds wrong meta-gradients, and passes right ones."""

from __future__ import annotations

import pytest
import torch

import mamlzoo
from mamlzoo import verify
from mamlzoo_algorithms.fomaml import FOMAML
from mamlzoo_algorithms.maml import MAML

SMALL = {"model.hidden": (5,), "model.activation": "tanh"}


class NoGraph(MAML):
    """MAML whose author forgot the graph of the inner gradient: its meta-gradient is not its loss's derivative."""

    name = "no-graph"

    def meta_loss(self, learner, meta, episode, progress):
        with torch.no_grad():
            gradient = learner.gradient(meta["network"], episode.support)
        return learner.loss(mamlzoo.sgd(meta["network"], gradient, self.inner_lr), episode.query), {}


class Half(torch.autograd.Function):
    """The identity, whose derivative it claims to be a half."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return gradient / 2


class HalfAtOnce(Half):
    """The identity, whose derivative is a half only where several are computed at once."""

    generate_vmap_rule = False

    @staticmethod
    def backward(ctx, gradient):
        return gradient

    @staticmethod
    def vmap(info, in_dims, x):
        return (x + x.detach()) / 2, in_dims[0]


class Halved(MAML):
    """MAML that halves its gradients on their way back."""

    name = "halved"
    identity = Half

    def meta_loss(self, learner, meta, episode, progress):
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        return self.identity.apply(loss), logs


class HalvedAtOnce(Halved):
    """MAML that halves the gradients of several episodes at once."""

    name = "halved-at-once"
    identity = HalfAtOnce


def test_a_missing_graph_is_found():
    options = {**SMALL, "algorithm.inner_lr": 0.1}
    verification = verify("sine", "mlp", NoGraph, options=options)
    assert not verification.passed
    assert max(episode.largest_error for episode in verification.episodes) > 1e-3


def test_a_wrong_factor_is_found():
    assert not verify("sine", "mlp", Halved, options=SMALL).passed


def test_a_meta_gradient_that_is_wrong_where_episodes_are_computed_at_once_is_found():
    verification = verify("sine", "mlp", HalvedAtOnce, options=SMALL)
    assert not verification.passed
    assert all(episode.passed for episode in verification.episodes)
    assert verification.batched_off_by == pytest.approx(0.5)
    assert verification.verdict == (
        "sine × mlp × halved-at-once: batching DISAGREES: torch computes several tasks at once with a meta-gradient "
        "that is 50.0% off; --plan loop takes one after another"
    )
    assert verification.document()["batched_off_by"] == verification.batched_off_by


def test_episodes_that_cannot_be_computed_at_once_are_verified_one_by_one():
    assert verify("sine", Recurrent, "maml", episodes=1, coordinates=4).passed


def test_a_first_order_method_that_claims_to_be_exact_disagrees_with_the_closed_form():
    class Claims(FOMAML):
        """First order in disguise."""

        name = "claims"
        order = "exact"

    verification = verify("scalar", "neuron", Claims, options={"algorithm.inner_lr": 0.1})
    assert not verification.passed
    assert verification.episodes[0].coordinates[0].closed_form == pytest.approx(4.48)


class Recurrent(torch.nn.Module):
    """A GRU over the number, which vmap cannot batch."""

    def __init__(self):
        super().__init__()
        self.gru, self.out = torch.nn.GRU(1, 4, batch_first=True), torch.nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.gru(x[:, None])[0][:, 0])


class Leaky(MAML):
    """MAML that claims to be exact and stops its inner gradient."""

    name = "leaky"

    def meta_loss(self, learner, meta, episode, progress):
        gradient = mamlzoo.stop_gradient(learner.gradient(meta["network"], episode.support))
        return learner.loss(mamlzoo.sgd(meta["network"], gradient, self.inner_lr), episode.query), {}


def test_a_stop_in_an_algorithm_that_claims_to_be_exact_is_found():
    assert not verify("sine", "mlp", Leaky, options={**SMALL, "algorithm.inner_lr": 0.1}).passed


@pytest.mark.parametrize("stop", [torch.Tensor.detach, torch.detach, lambda tensor: tensor.data])
def test_every_way_to_stop_a_gradient_is_held_constant(stop):
    class Stopping(MAML):
        """First order, by some way of stopping."""

        name = "stopping"
        order = "first-order"

        def meta_loss(self, learner, meta, episode, progress):
            gradient = mamlzoo.tree_map(stop, learner.gradient(meta["network"], episode.support))
            return learner.loss(mamlzoo.sgd(meta["network"], gradient, self.inner_lr), episode.query), {}

    assert verify("sine", "mlp", Stopping, options={**SMALL, "algorithm.inner_lr": 0.1}).passed


def test_the_parameters_checked_are_not_all_of_silent_units():
    verification = verify("sine", "mlp", "maml", coordinates=10)
    for episode in verification.episodes:
        assert sum(coordinate.autograd != 0 for coordinate in episode.coordinates) >= 5


def test_a_verification_shows_itself_as_its_tables():
    shown = repr(verify("scalar", "neuron", "maml", options={"algorithm.inner_lr": 0.1}))
    assert shown.startswith("D1: the chain rule in closed form")
    assert shown.endswith("scalar × neuron × maml: all ways agree")


def test_a_large_network_is_checked_at_some_of_its_parameters():
    verification = verify("sine", "mlp", "maml", coordinates=10, episodes=3)
    assert verification.parameters == 1761
    assert [len(episode.coordinates) for episode in verification.episodes] == [10, 10, 10]


def test_other_seeds_choose_other_parameters():
    names = [[c.name for c in verify("sine", "mlp", "maml", seed=seed).episodes[0].coordinates] for seed in (0, 1)]
    assert names[0] != names[1]


def test_progress_is_told():
    told = []
    verify("sine", "mlp", "maml", coordinates=4, episodes=2, progress=lambda *at: told.append(at))
    assert told == [(n, 8) for n in range(1, 9)]


def test_an_algorithm_without_a_closed_form_has_no_chain_rule():
    verification = verify("scalar", "neuron", "reptile", options={"algorithm.inner_lr": 0.001})
    assert verification.passed
    assert all(episode.chain_rule == [] for episode in verification.episodes)
    assert all(c.closed_form is None for episode in verification.episodes for c in episode.coordinates)
