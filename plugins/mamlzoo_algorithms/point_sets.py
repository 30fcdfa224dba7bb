"""Sets of points (x, y) as neural processes take them: their sizes, means over them, and Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

import mamlzoo
from mamlzoo import Batch, Gaussian, Spec
from mamlzoo_algorithms.input_vectors import require_numbers


def sizes_of(algorithm: mamlzoo.MetaAlgorithm, spec: Spec) -> tuple[int, int]:
    """How many numbers an input and a target have.

    Raises:
        UsageError: the targets are classes, or the inputs no vectors of numbers.
    """
    if spec.kind != "regression":
        raise mamlzoo.UsageError(
            f"algorithm '{algorithm.name}' predicts numbers, and the task is a {spec.kind}; choose a regression task"
        )
    require_numbers(algorithm, spec, of_vectors=True)
    return spec.input_shape[0], spec.target_shape[0]


def require_one_input(algorithm: mamlzoo.MetaAlgorithm, spec: Spec, meaning: str = "") -> None:
    """Refuse inputs of several numbers.

    Args:
        meaning: what the only number is, as in ", the time".

    Raises:
        UsageError: there are several, or as `sizes_of`.
    """
    inputs, _ = sizes_of(algorithm, spec)
    if inputs != 1:
        raise mamlzoo.UsageError(f"algorithm '{algorithm.name}' takes one input{meaning}, and the task has {inputs}")


def rows_of(batch: Batch) -> Tensor:
    """Each point as one vector (x, y)."""
    return torch.cat([batch.x, batch.y], -1)


def mean_of(rows: Tensor, there: Tensor) -> Tensor:
    """The mean of the rows [n, …] that are there; 0 where none is."""
    return rows.masked_fill(~there[:, None], 0).sum(0) / there.sum().clamp(min=1)


def at_each(x: Tensor, known: Tensor) -> Tensor:
    """Inputs beside what is known of the whole set, the same vector for all of them."""
    return torch.cat([x, known.expand(*x.shape[:-1], -1)], -1)


def gaussian_of(outputs: Tensor, least_sd: float) -> Gaussian:
    """A decoder's outputs [n, 2·targets] as means, and then s of which follow σ = least + (1 − least)·log(1 + eˢ)."""
    mean, free = outputs.chunk(2, -1)
    return Gaussian(mean, (least_sd + (1 - least_sd) * softplus(free)).square())


def mean_there(values: Tensor, there: Tensor) -> Tensor:
    """The mean of the numbers [n] that are there; 0 where none is."""
    return values.masked_fill(~there, 0).sum() / there.sum().clamp(min=1)


def nll_of(prediction: Gaussian, batch: Batch) -> Tensor:
    """The mean of −log p over the points that are there."""
    return mean_there(-prediction.log_prob(batch.y), batch.there)
