"""What the second contract can say: the same numbers under each plan, resumed or not, and green in the kit."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
import torch
from second_contract import (
    Bag,
    DeepKernel,
    LatentProcess,
    Pairs,
    PerStepNorms,
    Pictures,
    Reader,
    Relation,
    Siamese,
    Words,
    convolving,
    dropping,
    normalised,
)

import mamlzoo
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.runs.config import config_of
from mamlzoo.runs.execution import events, finished
from mamlzoo.runs.name_resolution import experiments
from mamlzoo.runs.setup import bind
from mamlzoo.testing import outcomes_of
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.protonet import ProtoNet
from mamlzoo_algorithms.reptile import Reptile
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine

SMALL = MLP(hidden=(16,), activation="tanh")
COMBINATIONS = {
    "a latent neural process": (Sine(), SMALL, LatentProcess()),
    "a latent neural process on 1 to 20 points": (Sine(shots="1..20"), SMALL, LatentProcess()),
    "dropout under second-order MAML": (Sine(), dropping, MAML(inner_lr=0.1, inner_steps=2)),
    "dropout of classes under MAML": (Blobs(ways=3), dropping, MAML(inner_lr=0.1)),
    "MAML on 1 to 20 points": (Sine(shots="1..20"), SMALL, MAML(inner_lr=0.1, inner_steps=2)),
    "Reptile on 1 to 20 points": (Sine(shots="1..20"), SMALL, Reptile(inner_lr=0.1)),
    "ProtoNet on 1 to 20 points": (Blobs(ways=3, shots="1..20"), SMALL, ProtoNet()),
    "a GP on learned features on 1 to 20 points": (Sine(shots="1..20"), SMALL, DeepKernel()),
    "statistics of each inner step": (Blobs(ways=3), normalised, PerStepNorms(inner_lr=0.01)),
    "a relation network on images": (Pictures(), convolving, Relation()),
    "a recurrent learner": (Sine(shots=4), SMALL, Reader()),
    "an embedding of words": (Words(), Bag, MAML(inner_lr=0.1)),
    "pairs of points and a sign": (Pairs(), Siamese, MAML(inner_lr=0.1)),
}
SUPPORT = {"norm_statistics": "support"}
OF_THE_SUPPORT_SET = {
    "batch norm of the support set": (Blobs(ways=3), normalised, MAML(inner_lr=0.1, inner_steps=2)),
    "batch norm of 2 to 20 points": (Blobs(ways=3, shots="2..20"), normalised, MAML(inner_lr=0.1)),
    "batch norm of classes": (Blobs(ways=3), normalised, ProtoNet()),
}
COMBINATIONS |= OF_THE_SUPPORT_SET
QUICK = [
    "a latent neural process on 1 to 20 points",
    "dropout under second-order MAML",
    "MAML on 1 to 20 points",
    "ProtoNet on 1 to 20 points",
    "a GP on learned features on 1 to 20 points",
    "statistics of each inner step",
    "a relation network on images",
    "a recurrent learner",
    "an embedding of words",
    "pairs of points and a sign",
    "batch norm of 2 to 20 points",
]
"""Combinations among which everything of the contract is; of the others that is so too, in other company."""
EACH = pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in COMBINATIONS if name not in QUICK)]
)
DRAWN = [
    "a latent neural process on 1 to 20 points",
    "dropout under second-order MAML",
    "statistics of each inner step",
]
DRAWING = pytest.mark.parametrize("name", DRAWN)
MORE = [pytest.param(name, marks=pytest.mark.slow) for name in COMBINATIONS if name not in DRAWN]
SETTINGS = {
    "meta_batch": 3, "iterations": 4, "test_tasks": 6, "test_steps": 2, "optimizer": "sgd", "outer_lr": 0.02,
    "threads": 1,
}  # fmt: skip


def settings_of(name, **settings):
    return {"seeds": [0, 1], **SETTINGS, **(SUPPORT if name in OF_THE_SUPPORT_SET else {}), **settings}


def run(name, *, seeds=(0, 1), **settings):
    return _run(name, seeds, tuple(settings.items()))


@functools.cache  # a result is only looked at
def _run(name, seeds, settings):
    return mamlzoo.run(*COMBINATIONS[name], **settings_of(name, seeds=list(seeds), **dict(settings)))


def numbers(result):
    """θ, the meta-losses and the values on the test episodes."""
    theta = torch.cat([leaf.flatten() for leaf in mamlzoo.leaves(result.meta)])
    losses = torch.tensor(np.array([record.losses for record in result.checkpoint.history]))
    return theta, losses, torch.tensor(result.evaluation.main)


def assert_close(one, two):
    for a, b in zip(numbers(one), numbers(two), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@EACH
def test_several_tasks_at_once_give_what_one_after_another_gives(name):
    assert_close(run(name, plan="vmap"), run(name, plan="loop"))


COMPILED = [
    "a latent neural process on 1 to 20 points",
    "dropout under second-order MAML",
    "a GP on learned features on 1 to 20 points",
    "an embedding of words",
    "pairs of points and a sign",
    "statistics of each inner step",
    "a relation network on images",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_meta_steps_give_what_eager_ones_give(name):
    compiled = run(name, plan="compile")
    assert compiled.checkpoint.plan.plan == "compile"
    assert_close(compiled, run(name, plan="vmap"))


@DRAWING
def test_a_seed_alone_finds_what_it_finds_beside_another(name):
    both, alone = run(name, plan="vmap"), run(name, plan="vmap", seeds=(1,))
    torch.testing.assert_close(both.evaluation.main[1:], alone.evaluation.main, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [*DRAWN, *MORE])
def test_resumed_is_never_stopped_to_the_bit(name):
    (experiment,) = experiments(*([part] for part in COMBINATIONS[name]), **settings_of(name, plan="vmap"))
    whole, cut = None, None
    stream = events(experiment, config_of(experiment), pauses=[2])
    while whole is None:
        try:
            event = next(stream)
        except StopIteration as end:
            whole = end.value
        else:
            if isinstance(event, Checkpoint) and event.training.step == 2 and cut is None:
                cut = copy.deepcopy(event)
    resumed = finished(events(experiment, config_of(experiment), start=cut))
    for a, b in zip(numbers(whole)[::2], numbers(resumed)[::2], strict=True):
        assert torch.equal(a, b)


@DRAWING
def test_the_seed_governs_all_that_is_drawn(name):
    one, other = (run(name, plan="vmap", seeds=(seed,)) for seed in (0, 5))
    again = mamlzoo.run(*COMBINATIONS[name], **settings_of(name, plan="vmap", seeds=[0]))
    assert all(map(torch.equal, numbers(one), numbers(again)))
    assert not torch.equal(numbers(one)[1], numbers(other)[1])


def test_statistics_are_the_mean_of_what_the_episodes_make_of_them_and_no_optimiser_moves_them():
    name = "statistics of each inner step"
    decayed = {"optimizer": "adamw", "optimizer_options": {"weight_decay": 0.5}, "clip_norm": 1e-3}
    result = mamlzoo.run(*COMBINATIONS[name], **settings_of(name, plan="vmap", iterations=1, seeds=[0], **decayed))
    (experiment,) = experiments(*([part] for part in COMBINATIONS[name]), **settings_of(name, seeds=[0]))
    bound = bind(experiment)
    episodes = next(TrainingStream(experiment.task, (0,), SETTINGS["meta_batch"], torch.device("cpu")).steps(0, 1))
    meta = mamlzoo.tree_map(lambda leaf: leaf[0], bound.meta)
    each = []
    for at in range(SETTINGS["meta_batch"]):
        episode = mamlzoo.tree_map(lambda leaf, at=at: leaf[0, at], episodes)
        each.append(experiment.algorithm.meta_loss(bound.first(episode, training=True)[0], meta, episode, 0.0)[2])
    for kind in ("mean.0", "variance.0"):
        expected = torch.stack([own["moments"][kind] for own in each]).mean(0)
        torch.testing.assert_close(result.meta["moments"][kind][0], expected, rtol=1e-5, atol=1e-6)


PLUGINS = [Words(), Pairs(), Pictures()]
MORE_PLUGINS = [LatentProcess(), PerStepNorms(), DeepKernel(), Relation(), Reader()]


@pytest.mark.parametrize(
    "plugin",
    [*PLUGINS, *(pytest.param(plugin, marks=pytest.mark.slow) for plugin in MORE_PLUGINS)],
    ids=[plugin.name for plugin in [*PLUGINS, *MORE_PLUGINS]],
)
def test_the_kit_finds_nothing(plugin):
    found = {outcome.check.name: outcome.finding for outcome in outcomes_of(plugin) if outcome.verdict == "failed"}
    assert not found


def test_words_and_pairs_of_a_users_own_are_adapted_to():
    words = run("an embedding of words", seeds=(0,)).adapt([[0, 1, 2], [3, 3, 6]], [0.5, -1.0], steps=2)
    assert words.predict([[6, 6, 6]]).shape == (1, 1)
    with pytest.raises(mamlzoo.UsageError, match=r"x must be \[n, 3\] of whole numbers below 7, and 7 is none"):
        words.predict([[0, 1, 7]])
    pairs = run("pairs of points and a sign", seeds=(0,))
    x = {"left": [[0, 1], [1, 1]], "right": [[1, 0], [0, 0]], "sign": [True, False]}
    assert pairs.adapt(x, [1.0, -1.0], steps=2).predict(x).shape == (2, 1)
    with pytest.raises(mamlzoo.UsageError, match=r"x must be left \[n, 2\] and right \[n, 2\] and sign \[n\] of truth"):
        pairs.adapt(x["left"], [1.0, -1.0])
    with pytest.raises(mamlzoo.UsageError, match="the tensors of x must be of the same examples"):
        pairs.adapt({**x, "sign": [True]}, [1.0, -1.0])


@pytest.mark.parametrize("plan", ["vmap", "loop"])
def test_inner_steps_that_are_computed_again_draw_the_same_numbers(plan):
    name = "dropout under second-order MAML"
    assert_close(run(name, plan=plan, recompute=True), run(name, plan=plan))


@pytest.mark.parametrize("name", OF_THE_SUPPORT_SET)
def test_a_query_is_predicted_alone_as_among_others_by_the_statistics_of_the_support_set(name):
    adapted = run(name).adapt(*support_of(name), steps=2)
    x = support_of(name, 1)[0]
    several = adapted.predict(x)
    for at in range(len(x)):
        torch.testing.assert_close(adapted.predict(x[at : at + 1]), several[at : at + 1], rtol=1e-5, atol=1e-6)


def support_of(name, at=0):
    task = COMBINATIONS[name][0]
    support = task.sample(at + 1, split="test", generator=torch.Generator().manual_seed(at)).support
    there = slice(None) if support.mask is None else support.mask[at]
    return support.x[at][there], support.y[at][there]


def test_a_batch_norm_behind_other_inputs_than_the_tasks_is_refused_the_support_sets_statistics():
    with pytest.raises(mamlzoo.UsageError, match="network 'encoder' takes other inputs than the task's, so its batch"):
        mamlzoo.run(Sine(), normalised, LatentProcess(), norm_statistics="support", **{**SETTINGS, "iterations": 1})


def test_batch_norm_of_the_batch_leaves_padding_out():
    result = mamlzoo.run(Blobs(shots="2..20"), normalised, MAML(inner_lr=0.1), **{**SETTINGS, "iterations": 1})
    assert "transductive" in " ".join(result.checkpoint.remarks)  # and the rehearsal found no say of the padding


def test_test_episodes_have_their_random_numbers_frozen_like_their_data():
    name = "a latent neural process"
    result = run(name, plan="vmap", seeds=(0,))
    few = run(name, plan="vmap", seeds=(0,), test_tasks=4)
    torch.testing.assert_close(result.evaluation.main[:, :4], few.evaluation.main)


class Functional(torch.nn.Module):
    """Drops by a function, which no layer tells of; in place, where that is asked for."""

    def __init__(self, inplace=False, always=False):
        super().__init__()
        self.enter, self.out = torch.nn.Linear(1, 8), torch.nn.Linear(8, 1)
        self.inplace, self.always = inplace, always

    def forward(self, x):
        hidden = torch.tanh(self.enter(x)) * 1
        dropped = torch.nn.functional.dropout(hidden, 0.5, self.always or self.training, self.inplace)
        return self.out(hidden if self.inplace else dropped)


@pytest.mark.parametrize(
    "given", [{}, pytest.param({"inplace": True}, marks=pytest.mark.slow), {"always": True}], ids=str
)
def test_dropout_by_a_function_draws_as_a_layer_does(given):
    both = [
        mamlzoo.run(Sine(), lambda: Functional(**given), MAML(), **{**SETTINGS, "plan": plan, "iterations": 3})
        for plan in ("vmap", "loop")
    ]
    assert_close(*both)
    drawn = both[0].checkpoint.history[0].losses
    (experiment,) = experiments([Sine()], [lambda: Functional(**given)], [MAML()], **{**SETTINGS, "iterations": 1})
    episode = mamlzoo.tree_map(
        lambda leaf: leaf[0], next(TrainingStream(Sine(), (0,), 2, torch.device("cpu")).steps(0, 1))
    )
    bound, losses = bind(experiment), []
    for at in (0, 0, 1):
        one = mamlzoo.tree_map(lambda leaf: leaf[0], episode)
        one = type(one)(one.support, one.query, episode.key[at])
        learner, meta = bound.first(one, training=True)
        losses.append(float(MAML().meta_loss(learner, meta, one, torch.tensor(0.0))[0]))
    assert losses[0] == losses[1] != losses[2]
    assert np.isfinite(drawn).all()


class Sized(Reader):
    """Builds its networks by how many examples there are."""

    name = "sized"

    def networks(self, spec):
        assert (spec.support_size, spec.query_size) == (4, 10)
        return super().networks(spec)


def test_an_algorithm_is_told_how_many_examples_there_are_wherever_it_is_asked_for_networks():
    result = mamlzoo.run(Sine(shots=4, queries=10), SMALL, Sized(), **{**SETTINGS, "iterations": 1})
    assert result.adapt([[0.0]], [0.0]).predict([[1.0]]).shape == (1, 1)
