"""Algorithms that want no network: the model has no part in a run, and is said to have none."""

from __future__ import annotations

import pytest
import torch

import mamlzoo
from mamlzoo.testing import outcomes_of
from mamlzoo_tasks.sine import Sine


class Guess(mamlzoo.MetaAlgorithm):
    """Always the same number, which is learned.

    Reference: none.
    """

    name = "guess"
    claims = frozenset({"query-loss", "complete-at-once"})

    def networks(self, spec):
        if spec.target_shape != (1,):
            raise mamlzoo.UsageError("algorithm 'guess' learns one number; choose a regression of one")
        return {}

    def init(self, networks):
        assert networks == {}
        return {"guess": {"number": torch.zeros(1)}}

    def start(self, learner, meta, support):
        return meta["guess"]["number"]

    def adapt(self, learner, meta, fast, support):
        return fast

    def predict(self, learner, meta, fast, x):
        return fast.expand(len(x), 1)

    def meta_loss(self, learner, meta, episode, progress):
        fast = self.start(learner, meta, episode.support)
        return learner.loss_of(self.predict(learner, meta, fast, episode.query.x), episode.query), {}


class Empty(Guess):
    """Nothing at all."""

    name = "empty"

    def init(self, networks):
        return {}


HIGH = Sine(amplitude_min=0.0, amplitude_max=0.1)
NO_PART = "model 'mlp' has no part in it: algorithm 'guess' wants no network"


@pytest.mark.parametrize("plan", ["loop", "vmap"])
def test_what_init_gives_is_trained(plan):
    # One meta-step of SGD: θ¹ = −ε·∂/∂θ mean (θ − y)² = 2ε·mean y.
    result = mamlzoo.run(Sine(), "mlp", Guess, iterations=1, meta_batch=1, optimizer="sgd", outer_lr=0.5, test_tasks=2,
                         plan=plan, seeds=[0, 1])  # fmt: skip
    assert result.meta["guess"]["number"].shape == (2, 1)
    assert result.checkpoint.training.step == 1
    assert result.meta["guess"]["number"].ne(0).all()


def test_a_run_says_that_the_model_has_no_part():
    assert NO_PART in mamlzoo.run(HIGH, "mlp", Guess, iterations=1, test_tasks=2).remarks
    assert not any("no part" in line for line in mamlzoo.run(HIGH, "mlp", "maml", iterations=1, test_tasks=2).remarks)


def test_it_is_bound_to_no_network_in_a_loop_of_ones_own():
    spec = mamlzoo.Spec((1,), 1)
    learner, meta = mamlzoo.bind(Guess(), {}, torch.nn.functional.mse_loss, spec)
    assert list(meta) == ["guess"]
    assert learner.networks == {}
    with pytest.raises(mamlzoo.UsageError, match="algorithm 'guess' wants no network"):
        mamlzoo.bind(Guess(), torch.nn.Linear(1, 1), torch.nn.functional.mse_loss, spec)


def test_a_model_for_a_network_that_it_has_not_is_refused():
    with pytest.raises(mamlzoo.UsageError, match="algorithm 'guess' has no network 'relation' to choose a model for"):
        mamlzoo.run(HIGH, "mlp", Guess, network_models={"relation": "mlp"}, iterations=1)


def test_no_network_and_no_theta_is_the_algorithms_fault():
    with pytest.raises(
        mamlzoo.PluginError, match="algorithm 'empty': it wants no network, and its init gives no tensor"
    ):
        mamlzoo.run(HIGH, "mlp", Empty, iterations=1)


def test_the_kit_finds_nothing():
    found = {o.check.name: o.finding for o in outcomes_of(Guess()) if o.verdict == "failed"}
    assert not found
