"""Groups of θ that are carried along and not optimised, as running means: what `meta_loss` gives is their next value.

After a meta-step such a group is the mean over the meta-batch of what each episode made of it. To the plans it looks
like a gradient,

    g = Σ_tasks (s − s_task) / tasks,   s ← s − g,

so it goes where gradients go, and the outer optimiser takes it as it is: at the rate 1, unclipped, whatever it is.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import MetaParams


def columns(meta: MetaParams, statistics: Collection[str]) -> Tensor:
    """Which numbers of a seed's θ are carried, [numbers] of bool, in the order of `trees.ravel`.

    Args:
        meta: every leaf begins with [seeds].
    """
    marked = {
        name: trees.tree_map(lambda leaf, carried=name in statistics: torch.full_like(leaf[:1], float(carried)), group)
        for name, group in meta.items()
    }
    return trees.ravel(marked)[0] > 0


def moves(own: MetaParams, new: MetaParams, tasks: int) -> MetaParams:
    """By group (s − s_task) / tasks, summed over the tasks at hand.

    Args:
        own: θ; every leaf begins with [seeds].
        new: the groups that are carried, as each episode gives them; every leaf begins with [seeds, tasks at hand].
        tasks: in the meta-batch.
    """
    return {
        name: trees.tree_map(lambda s, each: (s.detach()[:, None] - each.detach()).sum(1) / tasks, own[name], group)
        for name, group in new.items()
    }


def without(gradient: MetaParams, statistics: Collection[str]) -> MetaParams:
    """A gradient in which what is carried is 0, so that no norm counts it."""
    return {
        name: trees.tree_map(torch.zeros_like, group) if name in statistics else group
        for name, group in gradient.items()
    }
