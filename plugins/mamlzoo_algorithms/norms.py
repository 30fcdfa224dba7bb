"""The norms of a network: which parameters are theirs, and statistics of its batch norms that an algorithm keeps.

Kept statistics are called after their layer, `1.mean` and `1.variance`, and have a row for each step of an inner loop;
`learner.predict` calls them after the turn in which norms are called, `mean.0` and `variance.0`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

import mamlzoo
from mamlzoo import Batch, Learner, Params

MOMENTS = ("mean", "variance")
FRESH = 0.1
"""What a new value counts in a running mean, as torch's batch norms have it."""


def norm_layers(params: Params) -> list[str]:
    """The norms by name: layers whose weight has a single axis.

    A layer norm over several axes has a weight of several, and is none by this.
    """
    found = [name.rpartition(".") for name, value in params.items() if value.ndim == 1]
    return [layer for layer, _, last in found if layer and last == "weight"]


def without_norms(params: Params) -> Params:
    """The parameters that are no norm's."""
    layers = norm_layers(params)
    return {name: value for name, value in params.items() if name.rpartition(".")[0] not in layers}


def first_statistics(params: Params, rows: int) -> Params:
    """Means 0 and variances 1 for whatever may be a batch norm, [rows, channels]."""
    scales = {layer: params[f"{layer}.weight"] for layer in norm_layers(params)}
    means = {f"{layer}.mean": scale.new_zeros(rows, len(scale)) for layer, scale in scales.items()}
    return means | {f"{layer}.variance": scale.new_ones(rows, len(scale)) for layer, scale in scales.items()}


def in_their_turn(network: nn.Module, kept: Params, algorithm: str) -> Params:
    """The statistics of the batch norms, as `learner.predict` calls them; none of a network without any.

    Raises:
        UsageError: those of a batch norm are not kept.
    """
    found: Params = {}
    for at, layer in enumerate(_batch_norms(network)):
        if f"{layer}.mean" not in kept:
            raise mamlzoo.UsageError(
                f"algorithm '{algorithm}': batch norm '{layer}' has no scale that is learned, by which its channels "
                "are known; build it with affine=True, or say per_step_statistics=False"
            )
        found |= {f"{moment}.{at}": kept[f"{layer}.{moment}"] for moment in MOMENTS}
    return found


def next_statistics(learner: Learner, kept: Params, each: Sequence[Params], batch: Batch, algorithm: str) -> Params:
    """What is kept, with each row a little nearer to what the norms see of a batch by those parameters.

    Args:
        each: the network's parameters by which each row is taken.

    Raises:
        UsageError: the batch norms are called in another order than they stand in, or not once each.
    """
    known = in_their_turn(learner.networks["network"], kept, algorithm)
    seen = [learner.branch().norm_moments(params, batch.x, mask=batch.mask) for params in each]
    if {name: rows.shape[1:] for name, rows in known.items()} != {name: row.shape for name, row in seen[0].items()}:
        raise mamlzoo.UsageError(
            f"algorithm '{algorithm}' keeps statistics of batch norms that are called once each, in the order "
            f"{', '.join(_batch_norms(learner.networks['network']))}; say per_step_statistics=False for this network"
        )
    new = dict(kept)
    for at, layer in enumerate(_batch_norms(learner.networks["network"])):
        for moment in MOMENTS:
            rows = torch.stack([row[f"{moment}.{at}"].detach() for row in seen])
            new[f"{layer}.{moment}"] = (1 - FRESH) * kept[f"{layer}.{moment}"] + FRESH * rows
    return new


def row_of(tables: Params, at: Tensor) -> Params:
    """Of tables [rows, …] the row at a place [] of each."""
    return {name: table.index_select(0, at.reshape(1))[0] for name, table in tables.items()}


def _batch_norms(network: nn.Module) -> list[str]:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return [name for name, layer in network.named_modules() if isinstance(layer, kinds)]
