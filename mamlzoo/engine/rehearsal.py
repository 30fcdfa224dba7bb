"""A rehearsal: every function of the three plugins once on one episode, so that a fault is found before training.

Divergence is an outcome and no fault: what is infinite, or comes of it, may be the doing of a rate that is too large.
What is NaN, or infinite before any rate had a say, is the fault of whoever made it of finite numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Batch, Episode, Fast, MetaParams, Params, Spec
from mamlzoo.contracts.distributions import Distribution
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import Model, Task
from mamlzoo.contracts.return_values import (
    broken,
    check_fast,
    check_loss,
    check_networks,
    check_prediction,
    is_finite,
)
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.gradients import StepResult
from mamlzoo.engine.judgement import judge
from mamlzoo.engine.singular_matrices import outcomes
from mamlzoo.engine.torch_errors import explained
from mamlzoo.errors import FOREIGN

PATIENCE = 100
"""Adaptation steps after which what is still finite is not running away."""


def rehearse(bound: Bound, task: Task, model: Model, episode: Episode) -> None:
    """Adapt one step to one episode and judge it.

    Args:
        episode: without an axis of episodes.

    Raises:
        PluginError: a plugin gives back something of the wrong type or shape, or NaN for finite numbers.
    """
    algorithm, (learner, meta) = bound.algorithm, _of_first_seed(bound, episode)
    for name, shape in check_networks(algorithm, algorithm.networks(bound.learner.spec)).items():
        if isinstance(shape, Spec) and shape.structure == task.spec.structure:
            _check_network(model, learner, name, episode.support.x)
    with torch.no_grad():
        fast = check_fast(algorithm, "start", algorithm.start(learner, meta, episode.support))
        if not _none_is_nan(fast):
            raise broken(algorithm, ": start returned a φ that holds NaN, from a finite θ and finite data")
        prediction = algorithm.predict(learner, meta, fast, episode.query.x)
        check_prediction(algorithm, prediction, episode.query.x, task.spec)
    if all(map(is_finite, trees.leaves(prediction))):
        _check_judgement(task, learner, prediction, episode.query.y)
    elif not _none_is_nan(prediction) and all(map(is_finite, trees.leaves(fast))):
        raise broken(algorithm, ": predict returned NaN before the first adaptation step, from finite numbers")
    with torch.no_grad():
        after = check_fast(algorithm, "adapt", algorithm.adapt(learner, meta, fast, episode.support))
        if not _none_is_nan(after) and all(map(is_finite, trees.leaves(fast))):
            raise broken(
                algorithm,
                ": the first adaptation step made φ NaN, from finite numbers; a large rate makes it infinite at most",
            )
        prediction = algorithm.predict(learner, meta, after, episode.query.x)
        check_prediction(algorithm, prediction, episode.query.x, task.spec)


def check_meta_gradient(bound: Bound, found: StepResult, episode: Episode) -> None:
    """Hold a meta-loss or meta-gradient that is NaN against the algorithm, unless adaptation itself runs away.

    Args:
        found: of the first meta-step.
        episode: one of its episodes.

    Raises:
        PluginError: it is NaN, though φ and its losses stay finite for many adaptation steps.
        LinAlgError: so it is, since a matrix of it is singular.
    """
    if _none_is_nan([found.losses, found.gradient]) or outcomes(_runs_away)(bound, episode):
        return
    algorithm, (learner, meta) = bound.algorithm, _of_first_seed(bound, episode, training=True)
    algorithm.meta_loss(learner, meta, episode, torch.zeros((), device=episode.query.y.device))
    what = "meta-gradient" if _none_is_nan(found.losses) else "meta-loss"
    raise broken(algorithm, f": its {what} is NaN at θ⁰, though nothing runs away in {PATIENCE} adaptation steps")


def _runs_away(bound: Bound, episode: Episode) -> bool:
    """Whether φ, or a loss, is no longer finite after a number of adaptation steps."""
    algorithm, (learner, meta) = bound.algorithm, _of_first_seed(bound, episode)
    with torch.no_grad():
        fast = algorithm.start(learner, meta, episode.support)
        for _ in range(PATIENCE):
            fast = algorithm.adapt(learner, meta, fast, episode.support)
            # A step of bounded length leaves φ finite at any rate; what the network makes of it then is not.
            losses = [
                learner.loss_of(algorithm.predict(learner, meta, fast, batch.x), batch).sum() for batch in episode
            ]
            if not all(map(is_finite, [*trees.leaves(fast), *losses])):
                return True
    return False


def _of_first_seed(bound: Bound, episode: Episode, *, training: bool = False) -> tuple[Learner, MetaParams]:
    learner, meta = bound.first(episode, training=training)
    return learner, trees.stop_gradient(meta)


def _check_network(model: Model, learner: Learner, name: str, x: Any) -> None:
    """A network as its model built it, at finite inputs."""
    network = learner.networks[name]
    params: Params = {key: value for key, value in network.named_parameters() if value.requires_grad}
    if not all(map(is_finite, network.parameters())):
        raise broken(model, ": its network's initial parameters are not finite")
    with torch.enable_grad():
        output = learner.predict(params, x, name)
        if not is_finite(output):
            raise broken(model, ": its network's output is not finite for finite inputs and parameters")
        if not output.requires_grad:
            return
        try:
            gradient = torch.autograd.grad(output.sum(), list(params.values()), allow_unused=True)
        except FOREIGN as error:
            raise broken(model, f": its network cannot be differentiated: {explained(error)}") from error
        if not _none_is_nan(gradient):
            raise broken(model, ": the gradient of its network's output is NaN for finite inputs and parameters")


def _check_judgement(task: Task, learner: Learner, prediction: Tensor | Distribution, target: Tensor) -> None:
    """The task's loss, its gradient and its metrics for a finite prediction and finite targets."""
    of_what = "for a finite prediction and finite targets"
    prediction = trees.tree_map(lambda leaf: leaf.detach().requires_grad_(), prediction)
    with torch.enable_grad():
        loss = check_loss(task, learner.loss_of(prediction, Batch(None, target)))
        if not is_finite(loss):
            raise broken(task, f": loss is {loss.item():g} {of_what}")
        given = trees.leaves(prediction)
        if loss.requires_grad and not _none_is_nan(torch.autograd.grad(loss, given, allow_unused=True)):
            raise broken(task, f": the gradient of its loss is NaN {of_what}")
    with torch.no_grad():
        for name, value in judge(task, trees.stop_gradient(prediction), target).values.items():
            if not is_finite(value):
                raise broken(task, f": metric '{name}' is {value.item():g} {of_what}")


def _none_is_nan(tree: Fast) -> bool:
    return not any(isinstance(leaf, Tensor) and bool(leaf.isnan().any()) for leaf in trees.leaves(tree))
