"""Padding is looked through: what lies in it must not reach what an algorithm makes of a set."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Batch, Episode, Fast, Params, Spec
from mamlzoo.contracts.plugins import MetaAlgorithm, Task
from mamlzoo.engine.batch_norm import batch_norms
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.held_tensors import same
from mamlzoo.errors import PluginError, UsageError

MASKED = (
    "take losses by learner.loss, learner.gradient or learner.loss_of, and in sums and means of its own count what "
    "batch.mask says is there"
)


def check_takes_padding(task: Task, algorithm: MetaAlgorithm, episodes: Episode) -> None:
    """Hold sets of several sizes against an algorithm that does not say that it can tell padding.

    Raises:
        UsageError: it does not.
    """
    padded = [name for name, batch in episodes.sets.items() if batch.mask is not None]
    if padded and not algorithm.honours_masks:
        raise UsageError(
            f"algorithm '{algorithm.name}' takes sets of one size, and the {' and '.join(padded)} sets of task "
            f"'{task.name}' have several; give the task fixed sizes, or choose an algorithm with honours_masks = True"
        )


def check_takes_single_examples(task: Task, bound: Bound, drawn: Callable[[], Episode]) -> None:
    """Hold sets of a single example, where padding hides that they are, against batch norms of their statistics.

    A single number is its own mean, so a batch norm would make 0 of everything, without a word.

    Args:
        drawn: gives many episodes, so that such sets are among them if there are any; called where batch norms are.

    Raises:
        UsageError: a batch norm has one number of each channel there.
    """
    learner = replace(bound.first()[0], norms="batch")
    sets = {"batch": ("support", "query"), "support": ("support",), "running": ()}[bound.learner.norms]
    of_inputs = [
        name
        for name, wanted in bound.algorithm.networks(learner.spec).items()
        if isinstance(wanted, Spec) and wanted.structure == learner.spec.structure
        if batch_norms([learner.networks[name]])
    ]
    if not sets or not of_inputs:
        return
    episodes = drawn()
    for part, name in itertools.product(sets, of_inputs):
        batch, known = episodes.sets[part], learner.parameter_names(name)
        single = [] if batch.mask is None else (batch.mask.sum(-1) == 1).nonzero()[:1, 0].tolist()
        for one in (trees.index(batch, at) for at in single):
            params: Params = {key: own for key, own in learner.networks[name].named_parameters() if key in known}
            try:
                learner.predict(params, trees.index(one.x, one.there), name)
            except UsageError as error:
                raise UsageError(f"some {part} sets of task '{task.name}' have a single example: {error}") from error


def inspect_padding(bound: Bound, episode: Episode) -> None:
    """Put other numbers into the padding, and look whether anything changes.

    Args:
        episode: without an axis of episodes.

    Raises:
        PluginError, UsageError: something does.
    """
    changing = seen_in(bound, episode)
    if changing is None:
        return
    if bound.learner.norms == "batch" and (norms := batch_norms(bound.learner.networks.values())):
        raise UsageError(
            f"{changing} changes with the numbers in the padding of a set, of which batch norm '{norms[0]}' takes the "
            "statistics, as of all that is at hand; --norm-statistics support takes those of the support set"
        )
    raise PluginError(
        f"algorithm '{bound.algorithm.name}': {changing} changes with the numbers in the padding of a set",
        plugin=bound.algorithm,
        remedy=MASKED,
    )


def seen_in(bound: Bound, episode: Episode) -> str | None:
    """What changes with the numbers in the padding; None: nothing does, to the bit."""
    if all(batch.mask is None for batch in episode):
        return None
    given = Episode(_as_new(episode.support), _as_new(episode.query), episode.key)
    other = Episode(_with_other_padding(given.support), _with_other_padding(given.query), episode.key)
    for (method, one), (_, two) in zip(_results(bound, given), _results(bound, other), strict=True):
        if not all(map(same, trees.leaves(one), trees.leaves(two))):
            return method
    return None


def _as_new(batch: Batch) -> Batch:
    """The same in memory of its own: a matrix product has other bits where its rows begin at another address."""
    x, y = trees.tree_map(torch.clone, (batch.x, batch.y))
    return replace(batch, x=x, y=y)


def _with_other_padding(batch: Batch) -> Batch:
    """The same, with the examples that are there in other order in the place of those that are not."""
    if batch.mask is None or not batch.mask.any():
        return batch
    mask = batch.mask
    there = mask.nonzero()[:, 0].flip(0)
    chosen = torch.arange(len(mask), device=mask.device)
    chosen[~mask] = there[torch.arange(int((~mask).sum()), device=mask.device) % len(there)]

    def moved(leaf: Tensor) -> Tensor:
        other = leaf[chosen]
        if not leaf.is_floating_point():
            return other
        return torch.where(mask.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, other / 2 + 0.25)

    x, y = trees.tree_map(moved, (batch.x, batch.y))
    return replace(batch, x=x, y=y)


def _results(bound: Bound, episode: Episode) -> Iterator[tuple[str, Any]]:
    """What is predicted of examples that are there, and the meta-loss with its gradient; φ may hold padding."""
    algorithm, (support, query) = bound.algorithm, episode
    learner, meta = bound.first(episode)
    fast: Fast = None
    for step in ("start", "adapt"):
        with torch.no_grad():
            if step == "start":
                fast = algorithm.start(learner, meta, support)
            else:
                fast = algorithm.adapt(bound.first(episode)[0], meta, fast, support)
            prediction = algorithm.predict(bound.first(episode)[0], meta, fast, query.x)
        yield (
            f"what predict gives after {step}",
            (prediction if query.mask is None else trees.index(prediction, query.mask)),
        )
    if not algorithm.trains:
        return
    meta = trees.tree_map(lambda leaf: leaf.detach().requires_grad_(), meta)
    with torch.enable_grad():
        learner = bound.first(episode, training=True)[0]
        loss, *others = algorithm.meta_loss(learner, meta, episode, torch.zeros((), device=query.y.device))
        gradient = torch.autograd.grad(loss, trees.leaves(meta), allow_unused=True, materialize_grads=True)
    yield "meta_loss", (loss, others, list(gradient))
