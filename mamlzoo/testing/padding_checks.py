"""Checks of algorithms that say that they can tell padding."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Batch, Episode
from mamlzoo.contracts.distributions import points_of
from mamlzoo.contracts.plugins import MetaAlgorithm
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.padding_check import MASKED, seen_in
from mamlzoo.testing import probes
from mamlzoo.testing.bound_probes import bound_to_probe, drawn_episodes
from mamlzoo.testing.checks import check, require

PADDING = 3
"""Examples of padding in each set."""


@check("algorithm", concerns=lambda algorithm: algorithm.honours_masks)
def padding_changes_nothing(algorithm: MetaAlgorithm) -> None:
    """Other numbers in the padding of a set change no prediction, meta-loss or meta-gradient, to the bit.

    Take losses by learner.loss, learner.gradient or learner.loss_of, and in sums and means of its own count what
    batch.mask says is there; or set honours_masks = False.
    """
    for task in probes.tasks_for(algorithm):
        bound, episodes = bound_to_probe(algorithm, task=task), drawn_episodes(algorithm, 1, torch.float32, task)
        changing = seen_in(bound, _padded(trees.index(episodes, 0)))
        require(changing is None, f"{changing} changes with them; {MASKED}")


@check("algorithm", concerns=lambda algorithm: algorithm.honours_masks)
def a_padded_set_is_the_set(algorithm: MetaAlgorithm) -> None:
    """With padding behind its examples a set gives the predictions that it gives without.

    Divide by how many examples are there, batch.mask.sum(), not by len(batch.y); or set honours_masks = False.
    """
    for task in probes.tasks_for(algorithm):
        bound, episodes = bound_to_probe(algorithm, task=task), drawn_episodes(algorithm, 1, torch.float32, task)
        plain = trees.index(episodes, 0)
        one, two = (_predicted(bound, episode)[: len(plain.query.y)] for episode in (plain, _padded(plain)))
        apart = float((one - two).nan_to_num(posinf=0, neginf=0).abs().max())
        require(torch.allclose(one, two, rtol=1e-4, atol=1e-5), f"predictions differ by up to {apart:.2g}")


def _padded(episode: Episode) -> Episode:
    return replace(episode, support=_with_padding(episode.support), query=_with_padding(episode.query))


def _with_padding(batch: Batch) -> Batch:
    """The first examples once more, as what is not there."""
    more: Batch = trees.tree_map(lambda leaf: torch.cat([leaf, leaf[:PADDING]]), Batch(batch.x, batch.y))
    there = torch.arange(len(more.y)) < len(batch.y)
    return replace(more, mask=there)


def _predicted(bound: Bound, episode: Episode) -> Tensor:
    """After an adaptation step."""
    algorithm, (learner, meta) = bound.algorithm, bound.first(episode)
    with torch.no_grad():
        fast = algorithm.start(learner, meta, episode.support)
        fast = algorithm.adapt(bound.first(episode)[0], meta, fast, episode.support)
        return points_of(algorithm.predict(bound.first(episode)[0], meta, fast, episode.query.x))
