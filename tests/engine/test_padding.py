"""Sets of several sizes: what is padding has no say, and who cannot tell it is refused in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, PluginError, UsageError
from mamlzoo.contracts.data import Spec
from mamlzoo.contracts.learner import Learner
from mamlzoo.engine.mapping import MAPS
from mamlzoo.engine.masked_metrics import judge_padded
from mamlzoo_algorithms.maml import MAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

QUICK = {"iterations": 2, "meta_batch": 3, "test_tasks": 4, "test_steps": 2, "plan": "vmap"}


class Careless(MAML):
    """Takes the loss past the mask."""

    name = "careless"

    def meta_loss(self, learner, meta, episode, progress):
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.criterion(learner.predict(fast, episode.support.x), episode.support.y), {}


class OneSize(MAML):
    """Says nothing of padding."""

    name = "one-size"
    honours_masks = False


def test_an_algorithm_that_does_not_say_that_it_can_tell_padding_is_refused_before_training():
    with pytest.raises(
        UsageError, match="algorithm 'one-size' takes sets of one size, and the support sets of task 'si"
    ):
        mamlzoo.run(Sine(shots="1..5"), "mlp", OneSize, **QUICK)


def test_an_algorithm_that_says_so_and_cannot_is_found_out_before_training():
    with pytest.raises(
        PluginError, match="'careless': meta_loss changes with the numbers in the padding of a set; take"
    ):
        mamlzoo.run(Sine(shots="1..5"), "mlp", Careless, **QUICK)


class Odd(Sine):
    """Returns masks as it is told."""

    name = "odd"

    def sample(self, count, *, split, generator):
        drawn = super().sample(count, split=split, generator=generator)
        return Episode(replace(drawn.support, mask=self.masked(drawn.support)), drawn.query)


MASKS = {
    "numbers": (lambda batch: torch.ones(batch.y.shape[:2]), "support.mask as torch.float32; it must be a tensor of t"),
    "a column": (
        lambda batch: torch.ones(len(batch.y), 1, dtype=torch.bool),
        r"support.mask of shape \[2, 1\]; it must",
    ),
    "a list": (lambda batch: [True], "support.mask as a list; it must be a tensor of torch.bool"),
}


@pytest.mark.parametrize(("masked", "complaint"), MASKS.values(), ids=MASKS)
def test_a_mask_that_is_none_is_the_tasks_fault(masked, complaint):
    task = type("Given", (Odd,), {"masked": lambda self, batch: masked(batch)})
    with pytest.raises(PluginError, match=complaint):
        mamlzoo.run(task, "mlp", "maml", **QUICK)


def test_a_query_set_without_an_example_is_the_tasks_fault():
    class Empty(Sine):
        """Asks for nothing."""

        def sample(self, count, *, split, generator):
            drawn = super().sample(count, split=split, generator=generator)
            return Episode(drawn.support, replace(drawn.query, mask=torch.zeros(drawn.query.y.shape[:2]).bool()))

    with pytest.raises(PluginError, match="query.mask without an example in episode 0: there is nothing to judge by"):
        mamlzoo.run(Empty, "mlp", "maml", **QUICK)


def learner(network):
    return Learner({"network": network}, {"network": {}}, functional.mse_loss, Spec((1,), 1))


def sets(sizes, most=6):
    """A padded batch, and the same without padding."""
    generator = torch.Generator().manual_seed(sum(sizes))
    x, y = torch.randn(2, most, 1, generator=generator)
    there = torch.zeros(most, dtype=torch.bool)
    there[torch.tensor(sizes, dtype=torch.long)] = True
    return Batch(x, y, there), Batch(x[there], y[there])


@given(st.sets(st.integers(0, 5), min_size=1))
def test_the_loss_and_its_gradient_are_those_of_the_examples_that_are_there(sizes):
    padded, plain = sets(sorted(sizes))
    network = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    params, own = {n: p.detach() for n, p in network.named_parameters()}, learner(network)
    torch.testing.assert_close(own.loss(params, padded), own.loss(params, plain))
    torch.testing.assert_close(own.gradient(params, padded), own.gradient(params, plain), rtol=1e-5, atol=1e-6)


@given(st.sets(st.integers(0, 5), min_size=2))
def test_a_batch_norm_takes_the_statistics_of_the_examples_that_are_there(sizes):
    padded, plain = sets(sorted(sizes))
    network = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 1))
    params, own = {n: p.detach() for n, p in network.named_parameters()}, learner(network)
    torch.testing.assert_close(own.loss(params, padded), own.loss(params, plain), rtol=1e-4, atol=1e-5)


def test_infinite_predictions_of_padding_reach_no_gradient():
    padded, plain = sets([0, 2])
    own = learner(nn.Linear(1, 1))
    params = {"weight": torch.tensor([[1e30]]), "bias": torch.zeros(1)}
    far = replace(padded, x=padded.x.masked_fill(~padded.mask[:, None], 1e30))
    torch.testing.assert_close(own.gradient(params, far), own.gradient(params, plain))


def test_a_set_of_nothing_has_the_loss_0_and_no_gradient():
    padded, _ = sets([])
    own = learner(nn.Linear(1, 1))
    params = {"weight": torch.ones(1, 1), "bias": torch.zeros(1)}
    assert own.loss(params, padded) == 0
    assert all((leaf == 0).all() for leaf in own.gradient(params, padded).values())


class Correlated(Sine):
    """Judges by the correlation, which is no mean over examples."""

    def metrics(self, prediction, target):
        a, b = (values[:, 0] - values[:, 0].mean() for values in (prediction, target))
        return {"correlation": (a * b).mean() / (a.square().mean() * b.square().mean()).sqrt()}


@pytest.mark.parametrize("plan", MAPS)
def test_metrics_are_those_of_the_examples_that_are_there_whatever_they_are(plan):
    prediction, target = torch.randn(2, 3, 6, 1), torch.randn(3, 6, 1)
    mask = torch.tensor([[1, 1, 0, 1, 0, 1], [0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]]).bool()
    found = judge_padded(Correlated(), prediction, target, mask, MAPS[plan]).values["correlation"]
    for seed in range(2):
        for at in range(3):
            own = Correlated().metrics(prediction[seed, at][mask[at]], target[at][mask[at]])["correlation"]
            torch.testing.assert_close(found[seed, at], own)


def test_joined_sets_hold_the_padding_of_both():
    (one, _), (two, _) = sets([0, 1]), sets([2, 3, 4])
    assert one.joined(two).there.tolist() == [*one.mask.tolist(), *two.mask.tolist()]
    assert Batch(one.x, one.y).joined(two).there.tolist() == [True] * 6 + two.mask.tolist()
    assert Batch(one.x, one.y).joined(Batch(two.x, two.y)).mask is None


def test_a_run_trained_on_ten_points_is_adapted_to_three():
    result = mamlzoo.run(Sine(shots="1..10"), MLP(hidden=(8,)), MAML(), **QUICK)
    assert result.adapt([[0.0], [1.0], [2.0]], [0.0, 1.0, 0.5]).predict([[0.5]]).shape == (1, 1)


class Padded(Sine):
    """Query sets of several sizes, too."""

    def sample(self, count, *, split, generator):
        drawn = super().sample(count, split=split, generator=generator)
        _, mask = mamlzoo.sizes(mamlzoo.Range(2, drawn.query.y.shape[1]), (count,), generator)
        return Episode(drawn.support, replace(drawn.query, mask=mask))


def norming():
    return nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def test_a_batch_norm_that_would_see_padding_names_the_setting_that_helps():
    with pytest.raises(UsageError, match="batch norm '1' takes the statistics, .*; --norm-statistics support takes"):
        mamlzoo.run(Padded, norming, "maml", **QUICK)
    assert mamlzoo.run(Padded, norming, "maml", norm_statistics="support", **QUICK)


@pytest.mark.parametrize("norms", ["batch", "support"])
def test_a_single_example_behind_padding_has_no_statistics_as_one_without_has_none(norms):
    line = (
        "some support sets of task 'sine' have a single example: network 'network' has a batch norm, .*; give 2 or more"
    )
    with pytest.raises(UsageError, match=line):
        mamlzoo.run(Sine(shots="1..10"), norming, "maml", norm_statistics=norms, **QUICK)
    with pytest.raises(UsageError, match=line.partition(": ")[2]):
        mamlzoo.run(Sine(shots=1), norming, "maml", norm_statistics=norms, **QUICK)


def test_a_single_example_of_several_positions_has_statistics():
    def several():
        return nn.Sequential(nn.Linear(1, 6), nn.Unflatten(1, (2, 3)), nn.BatchNorm1d(2), nn.Flatten(), nn.Linear(6, 1))

    assert mamlzoo.run(Sine(shots="1..10"), several, "maml", **QUICK).evaluation.main.shape == (1, 4, 3)


def test_in_a_loop_of_ones_own_a_mask_is_for_those_who_can_tell_it():
    two = [
        mamlzoo.tree_map(lambda leaf: leaf[None].expand(2, *leaf.shape), sets(sizes)[0]) for sizes in ([0, 1], [2, 3])
    ]
    episodes = Episode(*two)
    own, meta = mamlzoo.bind(MAML(), nn.Linear(1, 1), functional.mse_loss)
    assert mamlzoo.meta_loss(MAML(), own, meta, episodes).isfinite()
    with pytest.raises(UsageError, match="algorithm 'one-size' takes sets of one size, and support has a mask; choose"):
        mamlzoo.meta_loss(OneSize(), own, meta, episodes)
    wrong = replace(episodes, support=replace(episodes.support, mask=episodes.support.mask.float()))
    with pytest.raises(
        UsageError, match=r"support.mask is torch.float32 of shape \[2, 6\]; it must be torch.bool, \[2, 6"
    ):
        mamlzoo.meta_loss(MAML(), own, meta, wrong)
