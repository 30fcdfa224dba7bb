"""Begin a run with the θ of another."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mamlzoo import trees
from mamlzoo.contracts.data import MetaParams
from mamlzoo.errors import UsageError
from mamlzoo.runs import trained


def theta_of(place: str, seeds: Sequence[int], like: MetaParams) -> MetaParams:
    """The trained θ of a run, for other seeds: each takes that of the same seed, or all that of the only one.

    Args:
        place: as `trained.result_of` takes it.
        like: a θ of the run to come; shapes, names and device are taken from it.

    Raises:
        UsageError: there is no finished run, it lacks a seed, or its θ has other names or shapes.
    """
    result = trained.result_of(place)
    usable = {seed: row for row, seed in enumerate(result.seeds) if seed not in result.diverged}
    rows = []
    for seed in seeds:
        if len(result.seeds) > 1 and seed not in usable:
            why = "diverged there" if seed in result.diverged else "was not trained there"
            there = ", ".join(map(str, usable)) or "none"
            raise UsageError(f"{place} has no θ for seed {seed}, which {why}; there are: {there}")
        rows.append(usable.get(seed, next(iter(usable.values()), None)))
    if None in rows:
        raise UsageError(f"{place} has no θ to begin with: its only seed diverged")
    other = trees.difference(result.meta, like)
    if other:
        raise UsageError(f"{place} has another θ: {other}")
    at = torch.tensor(rows)
    theirs = dict(trees.named_leaves(result.meta))
    return trees.replace_leaves(like, [theirs[name][at].to(leaf.device) for name, leaf in trees.named_leaves(like)])
