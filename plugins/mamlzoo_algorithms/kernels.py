"""Kernels of Gaussian processes on features, as functions of hyperparameters that are logarithms.

Each is k(own, a, b) of features whose last axis is the space's; all axes before it broadcast, so that
k(own, a[:, None], b) is a matrix and k(own, a, a) its diagonal. Each has weights `log_weight`, whose sum is the
variance of a function where features have the size that the kernel counts on.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mamlzoo import Params

Kernel = Callable[[Params, Tensor, Tensor], Tensor]


def linear(own: Params, a: Tensor, b: Tensor) -> Tensor:
    """w·⟨a, b⟩/d, of functions that are linear in d features."""
    return own["log_weight"].exp() * (a * b).mean(-1)


def rbf(own: Params, a: Tensor, b: Tensor) -> Tensor:
    """w·exp(−‖a − b‖²/(2ℓ²))."""
    return own["log_weight"].exp() * (-(a - b).square().sum(-1) * (-2 * own["log_length"]).exp() / 2).exp()


def spectral(own: Params, a: Tensor, b: Tensor) -> Tensor:
    """Σ_q w_q·Π_d exp(−2π²·v_qd²·τ_d²)·cos(2π·μ_qd·τ_d) of τ = a − b: w_q of the spectrum around frequency μ_q.

    Reference: Wilson and Adams, "Gaussian Process Kernels for Pattern Discovery and Extrapolation", ICML 2013.
    """
    angle = 2 * math.pi * (a - b)[..., None, :]
    decay = (-(angle * own["log_width"].exp()).square().sum(-1) / 2).exp()
    waves = _product((angle * own["log_frequency"].exp()).cos())
    return (own["log_weight"].exp() * decay * waves).sum(-1)


def _product(factors: Tensor) -> Tensor:
    """Over the last axis, by halves: derivatives divide by no factor, which may be 0."""
    while factors.shape[-1] > 1:
        half = factors.shape[-1] // 2
        pairs, odd = factors[..., :half] * factors[..., half : 2 * half], factors[..., 2 * half :]
        factors = torch.cat([pairs, odd], -1)
    return factors[..., 0]


def initial(kernel: str, dimensions: int, components: int) -> Params:
    """Hyperparameters to begin with: weights that sum to 1, lengths of 1, frequencies that are spread up to 1.

    Components that began alike would have the same gradients, and would be one for ever. From frequencies near 0 none
    is found: there the kernel is an RBF.
    """
    if kernel != "spectral":
        return {"log_weight": torch.zeros(())} | ({"log_length": torch.zeros(())} if kernel == "rbf" else {})
    frequency = torch.arange(1, components + 1) / components
    return {
        "log_weight": torch.full((components,), -math.log(components)),
        "log_frequency": frequency.log()[:, None].repeat(1, dimensions),
        "log_width": torch.full((components, dimensions), math.log(0.5)),
    }


KERNELS: dict[str, Kernel] = {"linear": linear, "rbf": rbf, "spectral": spectral}
"""By name."""
