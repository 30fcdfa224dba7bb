"""Checks of meta-algorithms, on small tasks and networks."""

from __future__ import annotations

import functools
import math
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from mamlzoo import trees
from mamlzoo.contracts import options
from mamlzoo.contracts.data import Params, Spec
from mamlzoo.contracts.distributions import points_of
from mamlzoo.contracts.inner_loop import OF_STEPS, adapt
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.options import Option
from mamlzoo.contracts.plugins import MetaAlgorithm
from mamlzoo.contracts.return_values import check_adapted
from mamlzoo.engine.adaptation import predictions
from mamlzoo.engine.gradients import EAGER
from mamlzoo.engine.inspection import ImpureError
from mamlzoo.errors import PluginError, UsageError
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.experiments.events import Event
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import Result
from mamlzoo.experiments.settings import Settings
from mamlzoo.runs import checkpoint_file
from mamlzoo.runs.config import config_of
from mamlzoo.runs.digests import experiment_digest
from mamlzoo.runs.execution import events, finished
from mamlzoo.testing import network_checks, probes
from mamlzoo.testing.bound_probes import (
    STEPS,
    Network,
    bound_to_probe,
    drawn_episode,
    drawn_episodes,
    require_prediction,
)
from mamlzoo.testing.checks import FaultError, check, require
from mamlzoo.testing.training_stages import stages
from mamlzoo.verification.central_differences import verify
from mamlzoo.verification.report import EpisodeReport

HALF = 2
"""Meta-steps of four after which training is stopped."""


@check("algorithm")
def inputs_are_not_mutated(algorithm: MetaAlgorithm) -> None:
    """No method changes θ, φ, the episode or the network's constants.

    Make new tensors; use no functions that end in an underscore, and no assignment to an element.
    """
    bound, episode = bound_to_probe(algorithm), drawn_episode(algorithm)
    learner, meta = bound.learner, trees.index(bound.meta, 0)
    given: dict[str, Any] = {"θ": meta, "the episode": episode, "the constants": learner.constants}
    before = trees.tree_map(torch.clone, given)

    def unchanged(method: str) -> None:
        for name, tree in given.items():
            same = trees.equal(tree, before[name])
            require(same, f"{method} changes {name}")

    fast = algorithm.start(learner, meta, episode.support)
    unchanged("start")
    given["φ"], before["φ"] = fast, trees.tree_map(torch.clone, fast)
    algorithm.adapt(learner, meta, fast, episode.support)
    unchanged("adapt")
    algorithm.predict(learner, meta, fast, episode.query.x)
    unchanged("predict")
    algorithm.meta_loss(learner, meta, episode, torch.tensor(0.5))
    unchanged("meta_loss")


@check("algorithm")
def vmapped_equals_one_by_one(algorithm: MetaAlgorithm) -> None:
    """Episodes and seeds computed at once give the meta-gradients and predictions of one after another.

    Use tensor operations only: no .item(), no `if` on a tensor's value; torch.func.grad, not torch.autograd.grad. Call
    networks by learner.predict, which batches layers that torch gets wrong.
    """
    _require_batched(algorithm, probes.plain)
    if network_checks.batch_norm_works.of(algorithm).error is None:  # one after another
        _require_batched(algorithm, probes.normalised)


@check("algorithm", concerns=lambda algorithm: algorithm.trains)
def meta_gradient_equals_differences(algorithm: MetaAlgorithm) -> None:
    """In float64 the meta-gradient is the derivative of the meta-loss, what a first-order method stops held constant.

    `mamlzoo verify` shows it number by number. Look for .detach(), stop_gradient and torch.no_grad in `adapt` and
    `meta_loss`, of a surrogate for a wrong sign or factor. If the algorithm leaves derivatives out on purpose, say
    order = "first-order" or "surrogate".
    """
    episodes = _verified(algorithm)
    off = [c for episode in episodes for c in episode.coordinates if c.off_claim]
    require(not off, "its gradient is not the whole derivative of its meta-loss, as it claims")
    worst = max((episode.largest_error for episode in episodes), default=0.0)
    require(
        all(episode.passed for episode in episodes),
        f"autograd and differences disagree, by up to {worst:.1e} of the gradient",
    )


@check("algorithm", concerns=lambda algorithm: "query-loss" in algorithm.claims)
def meta_loss_is_the_query_loss(algorithm: MetaAlgorithm) -> None:
    """As it claims, the meta-loss is the query loss of what a test does: start, adapt `inner_steps` times, predict.

    Adapt on the support set alone, by `adapt`; judge φ and not θ, on the query set alone, by `predict`. Where training
    is meant to minimise something else, take 'query-loss' out of `claims`.
    """
    _require_query_loss(algorithm)


def _of_other_steps(algorithm: MetaAlgorithm) -> list[tuple[str, MetaAlgorithm]]:
    """The algorithm with other inner steps than by default, each with what it was asked for."""
    if not set(OF_STEPS) <= options.options_of(type(algorithm)).keys():
        return []
    *_, last = dict(probes.plain(Spec((1,), 1)).named_parameters())
    asked: list[dict[str, Any]] = [{"inner_optimizer": "momentum"}, {"inner_clip": 0.01}, {"adapts": (last,)}]
    return [
        (", ".join(f"{name}={value!r}" for name, value in changes.items()), replace(cast(Any, algorithm), **changes))
        for changes in asked
    ]


@check("algorithm", concerns=lambda algorithm: "query-loss" in algorithm.claims and bool(_of_other_steps(algorithm)))
def inner_options_hold_in_training(algorithm: MetaAlgorithm) -> None:
    """Where other inner steps are asked for than by default, training makes those that a test makes.

    Make steps by mamlzoo.adapt, by self.adapt, or of self.inner_gradient by self.descend; mamlzoo.sgd knows nothing of
    these options. An algorithm with an `adapt` of its own is not offered them.
    """
    if meta_loss_is_the_query_loss.of(algorithm).error:  # as that check says
        return
    for asked, other in _of_other_steps(algorithm):
        try:
            _require_query_loss(other)
        except FaultError as error:
            raise FaultError(f"with {asked} {error}") from error


def _require_query_loss(algorithm: MetaAlgorithm) -> None:
    """The meta-loss is the query loss after as many steps of `adapt`."""
    steps = getattr(algorithm, "inner_steps", 0)
    for task in probes.tasks_for(algorithm):
        bound, episodes = bound_to_probe(algorithm, task=task), drawn_episodes(algorithm, 2, torch.float32, task)
        learner, meta = bound.learner, trees.index(bound.meta, 0)
        for at, progress in enumerate((0.0, 1.0)):
            episode = trees.index(episodes, at)
            fast = adapt(algorithm, learner, meta, episode.support, steps)
            tested = learner.loss_of(algorithm.predict(learner, meta, fast, episode.query.x), episode.query)
            trained, *_ = algorithm.meta_loss(learner, meta, episode, torch.tensor(progress))
            same = torch.allclose(trained, tested, rtol=1e-4, atol=1e-6)
            what = f"at progress {progress:g} the meta-loss is {trained.item():.6g}, and the query loss after {steps}"
            require(same, f"{what} steps of adapt is {tested.item():.6g}")


@check("algorithm", concerns=lambda algorithm: "complete-at-once" in algorithm.claims)
def adaptation_is_complete_at_once(algorithm: MetaAlgorithm) -> None:
    """As it claims, no adaptation step changes what it predicts.

    Let `start` adapt and `adapt` give φ back; or take 'complete-at-once' out of `claims`.
    """
    bound, episodes = bound_to_probe(algorithm), drawn_episodes(algorithm, 2, torch.float32)
    before, *after = points_of(predictions(bound, bound.meta, episodes.support, episodes.query.x, 3, "loop"))
    for step, found in enumerate(after, 1):
        same = torch.allclose(found, before, rtol=1e-4, atol=1e-6)
        require(same, f"after {step} steps it predicts something else than after none")


def _leaves_something_out(algorithm: MetaAlgorithm) -> bool:
    return algorithm.trains and algorithm.order != "exact" and "whole-derivative" not in algorithm.claims


@check("algorithm", concerns=_leaves_something_out)
def inexact_differs_from_exact(algorithm: MetaAlgorithm) -> None:
    """A meta-gradient that is declared first-order, or a surrogate, is not the whole derivative of the meta-loss.

    Say order = "exact", or stop what the method is meant to leave out.
    """
    found = [c for episode in _verified(algorithm) for c in episode.coordinates]
    apart = [abs(c.autograd - cast(float, c.whole)) / max(1.0, abs(c.autograd)) for c in found]
    require(
        not apart or max(apart) > 1e-6,
        f"it is declared {algorithm.order}, and nothing is left out: the derivative is the whole one",
    )


@check("algorithm")
def any_number_of_adaptation_steps(algorithm: MetaAlgorithm) -> None:
    """After 0, 1, … 10 adaptation steps it predicts finite numbers in the right shape.

    φ must have the same structure after each step, and no step may count on how many there are; nor may the meta-loss,
    for any `inner_steps`.
    """
    bound, episode = bound_to_probe(algorithm), drawn_episode(algorithm)
    learner, meta = bound.learner, trees.index(bound.meta, 0)
    fast = algorithm.start(learner, meta, episode.support)
    for steps in range(11):
        require_prediction(bound, fast, episode, f"after {steps} steps")
        fast = algorithm.adapt(learner, meta, fast, episode.support)
    declared = options.options_of(type(algorithm)).get("inner_steps")
    for steps in _allowed(declared, (0, 1, 5)) if declared else ():
        bound = bound_to_probe(replace(cast(Any, algorithm), inner_steps=steps))  # θ may hold something for each step
        loss, *_ = bound.algorithm.meta_loss(bound.learner, trees.index(bound.meta, 0), episode, torch.tensor(0.5))
        require(loss.isfinite(), f"with inner_steps = {steps} the meta-loss is {loss.item()}")


@check("algorithm", concerns=lambda algorithm: algorithm.trains)
def any_progress_of_training(algorithm: MetaAlgorithm) -> None:
    """At the beginning, in the middle and at the end of meta-training the meta-loss is finite.

    A schedule is given progress in [0, 1], both ends among them.
    """
    bound, episode = bound_to_probe(algorithm), drawn_episode(algorithm)
    for progress in (0.0, 0.5, 1.0):
        loss, *_ = algorithm.meta_loss(bound.learner, trees.index(bound.meta, 0), episode, torch.tensor(progress))
        require(loss.isfinite(), f"at progress {progress:g} the meta-loss is {loss.item()}")


@check("algorithm", concerns=lambda algorithm: "complete-at-once" not in algorithm.claims)
def adaptation_lowers_support_loss(algorithm: MetaAlgorithm) -> None:
    """After three adaptation steps from the initial θ the loss on the support points is lower, on the mean of episodes.

    Look at the sign and the size of a step. An algorithm that has adapted before its first step says so: claims =
    frozenset({"complete-at-once"}).
    """
    bound, count = bound_to_probe(algorithm), 16
    learner, meta = bound.learner, trees.index(bound.meta, 0)
    episodes, losses = drawn_episodes(algorithm, count, torch.float32), []
    for at in range(count):
        support = trees.index(episodes, at).support
        fast = [adapt(algorithm, learner, meta, support, steps) for steps in (0, 3)]
        losses.append([learner.loss_of(algorithm.predict(learner, meta, f, support.x), support).item() for f in fast])
    before, after = torch.tensor(losses).mean(0).tolist()
    require(after < before, f"it is {before:.6g} before and {after:.6g} after three steps")


@check("algorithm")
def query_points_do_not_see_each_other(algorithm: MetaAlgorithm) -> None:
    """A query point is predicted alone as it is predicted among others.

    Take no mean or norm over the query points. A method that is meant to use them all, a transductive one, says so in
    exempt_from.
    """
    bound, episode = bound_to_probe(algorithm), drawn_episode(algorithm)
    learner, meta, x = bound.learner, trees.index(bound.meta, 0), episode.query.x
    for steps in (0, STEPS):
        fast = adapt(algorithm, learner, meta, episode.support, steps)
        together = points_of(algorithm.predict(learner, meta, fast, x))
        alone = torch.cat([points_of(algorithm.predict(learner, meta, fast, x[at : at + 1])) for at in range(len(x))])
        same = torch.allclose(together, alone, rtol=1e-4, atol=1e-6)
        require(same, f"after {steps} steps the predictions of {len(x)} points together are not those of each alone")


@check("algorithm", concerns=lambda algorithm: type(algorithm).adapted is not MetaAlgorithm.adapted)
def adapted_predicts_the_same(algorithm: MetaAlgorithm) -> None:
    """With the parameters that `adapted` gives, the network's output is what `predict` gives.

    Override `adapted` where φ is something other than the network's parameters: return {"network": its parameters}, or
    raise mamlzoo.UsageError where no network predicts like that.
    """
    bound, episode = bound_to_probe(algorithm), drawn_episode(algorithm)
    learner, meta, x = bound.learner, trees.index(bound.meta, 0), episode.query.x
    fast = adapt(algorithm, learner, meta, episode.support, STEPS)
    try:
        found = algorithm.adapted(learner, meta, fast)
    except UsageError:
        return
    params = {name: _adapted(algorithm, learner, name, found) for name in learner.networks}
    if len(params) == 1:  # how several networks predict together only `predict` knows
        ((network, own),) = params.items()
        one, two = learner.predict(own, x, network), points_of(algorithm.predict(learner, meta, fast, x))
        same = one.shape == two.shape and torch.allclose(one, two, rtol=1e-4, atol=1e-6)
        require(same, f"after {STEPS} steps the network with the parameters of `adapted` predicts something else")


@check("algorithm")
def resumed_equals_never_stopped(algorithm: MetaAlgorithm) -> None:
    """Training that is stopped, written to a checkpoint, read again and gone on with ends at the same bits.

    All that training learns must be in θ; keep nothing in the algorithm or in its module.
    """
    settings = Settings(iterations=2 * HALF, meta_batch=2, test_tasks=1, test_steps=1, plan="loop", threads=1)
    whole = Experiment(probes.task_for(algorithm), probes.model(probes.plain), _fresh(algorithm), settings)
    digest = experiment_digest(config_of(whole))
    with tempfile.TemporaryDirectory() as folder:

        def keep(at: Checkpoint) -> None:
            if at.training.step <= HALF:
                checkpoint_file.save(at, Path(folder), digest)

        result = _trained(whole, None, keep)
        half = checkpoint_file.load(Path(folder) / checkpoint_file.NAME, digest)
    resumed = _trained(replace(whole, algorithm=_fresh(algorithm)), half)
    for (name, one), two in zip(trees.named_leaves(result.meta), trees.leaves(resumed.meta), strict=True):
        require(torch.equal(one, two), f"θ differs in {name} from that of training that was never stopped")


@check("algorithm", concerns=lambda algorithm: sys.flags.optimize < 2)  # python -OO strips docstrings
def docstring_names_its_reference(algorithm: MetaAlgorithm) -> None:
    """The docstring says where the algorithm is from, in a line that begins with 'Reference:'.

    Add "Reference: authors, title, venue and year, section or equation"; for an algorithm of your own, its report.
    """
    found = re.search(r"^\s*References?: *\S", type(algorithm).__doc__ or "", re.M)
    require(found, "no line of the docstring begins with 'Reference: '")


def _trained(
    experiment: Experiment, start: Checkpoint | None, keep: Callable[[Checkpoint], None] = lambda at: None
) -> Result:
    """Train and test; `keep` is called wherever training could be stopped, after HALF of its meta-steps too."""

    def kept(event: Event) -> None:
        if isinstance(event, Checkpoint):
            keep(event)

    return finished(events(experiment, config_of(experiment), start, pauses=[HALF]), kept)


def _require_batched(algorithm: MetaAlgorithm, network: Network) -> None:
    """Compute several episodes of two seeds by vmap and by the loop, in float64: all must be equal."""
    bound = bound_to_probe(algorithm, network, seeds=(0, 1), dtype=torch.float64)
    episodes = drawn_episodes(algorithm, 3)
    rows = trees.tree_map(lambda leaf: torch.stack([leaf, leaf]), episodes)
    for progress in (0.0, 1.0) if algorithm.trains else ():  # which a schedule may be first-order and second-order at
        meta, now = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta), torch.tensor(progress)
        batched, looped = (EAGER[plan](bound, "mean", None)(meta, rows, now) for plan in ("vmap", "loop"))
        for name, one, two in (
            ("meta-gradients", batched.gradient, looped.gradient),
            ("meta-losses", batched.losses, looped.losses),
        ):
            require(_close(one, two), f"the {name} of several episodes at once are not those of one after another")
    support, x = episodes.support, episodes.query.x
    one, two = (points_of(predictions(bound, bound.meta, support, x, STEPS, plan)) for plan in ("vmap", "loop"))
    require(_close(one, two), "the predictions for several episodes at once are not those for one after another")


def _adapted(algorithm: MetaAlgorithm, learner: Learner, network: str, found: Any) -> Params:
    """What `adapted` gave for a network; a FaultError where that is not its parameters."""
    try:
        return check_adapted(algorithm, learner, network, found)
    except PluginError as error:
        raise FaultError(error.what) from error


@functools.lru_cache(maxsize=1)  # two checks look at it
def _verified(algorithm: MetaAlgorithm) -> list[EpisodeReport]:
    """One episode's meta-gradient at the beginning, and where a schedule changes it later; at the end of each kind."""
    model, (task, *others) = probes.model(probes.plain), probes.tasks_for(algorithm)
    if network_checks.other_tasks_work.of(algorithm).error:
        others = []
    try:
        at = [
            verify(task, model, algorithm, episodes=1, coordinates=16, trained=done) for done in stages(algorithm, task)
        ]
        at += [verify(other, model, algorithm, episodes=1, coordinates=8, trained=1.0) for other in others]
    except ImpureError:  # an algorithm that is no pure function has a check of its own
        return []
    found = [episode for verification in at for episode in verification.episodes]
    return [episode for episode in found if math.isfinite(episode.meta_loss)]  # which has a check of its own


def _allowed(option: Option, values: tuple[int, ...]) -> set[int]:
    """The values, brought within the option's bounds."""
    low, high = option.minimum or 0, math.inf if option.maximum is None else option.maximum
    return {int(min(max(value, low), high)) for value in values}


def _fresh(algorithm: MetaAlgorithm) -> MetaAlgorithm:
    """Another instance with the same options."""
    return options.make(type(algorithm), options.values(algorithm), algorithm.name)


def _close(one: Any, two: Any) -> bool:
    pairs = zip(trees.leaves(one), trees.leaves(two), strict=True)
    return all(torch.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True) for a, b in pairs)
