"""Whose statistics batch norms take: those of the examples at hand, those of the support set, or trained ones.

A batch norm makes of a channel's numbers (x − μ) / √(σ² + ε)·γ + β. With μ and σ² of the batch, predictions on a query
set depend on each other (transductive, the default of the field). With those of the support set they do not, and a
single query can be predicted. With those that a network came with, nothing of an episode is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

NormStatistics = Literal["batch", "support", "running"]
"""Of the inputs at hand; of the support set; or those that the given network came with."""

MOMENTS = ("mean", "variance")
"""What a batch norm normalises by: of the norm called first `mean.0` and `variance.0`, and so on, each [channels]."""


class Norms(NamedTuple):
    """What is asked of the batch norms in one call of a network.

    Attributes:
        counted: which of the examples their statistics are taken of, [n]; None: all.
        moments: by name, what they are to normalise by; None: by those statistics.
        seen: where to put what they normalised by.
    """

    counted: Tensor | None = None
    moments: Mapping[str, Tensor] | None = None
    seen: dict[str, Tensor] | None = None


NONE_ASKED = Norms()
_HAVE: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def has_batch_norm(network: nn.Module) -> bool:
    """Whether some layer takes statistics over examples."""
    known = _HAVE.get(network)
    if known is None:
        known = _HAVE[network] = any(isinstance(module, _BatchNorm) for module in network.modules())
    return known


def counted_moments(x: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel, over the examples that count and all axes behind the channels.

    Args:
        x: [n · k, channels, …], k rows an example, one after another.
        counted: of each of the n examples 1 or 0.

    Raises:
        ValueError: the rows are no multiple of the examples.
    """
    if len(x) % len(counted):
        raise ValueError(
            f"a batch norm is given {len(x)} rows for {len(counted)} examples, so which row is of which example is not "
            "known"
        )
    shape = [-1] + [1] * (x.ndim - 1)
    weight = counted.to(x.dtype).repeat_interleave(len(x) // len(counted)).reshape(shape)
    axes = (0, *range(2, x.ndim))
    behind = x[:1, :1].numel()
    count = weight.sum().clamp(min=1) * behind
    mean = (weight * x).sum(axes, keepdim=True) / count
    variance = (weight * (x - mean).square()).sum(axes, keepdim=True) / count
    return mean, variance


def normalised_by(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """(x − μ) / √(σ² + ε)."""
    result: Tensor = (x - mean) * torch.rsqrt(variance + eps)
    return result
