"""How torch differentiates while networks are called, whatever it was told outside.

Attention is computed by the kernel that can be differentiated twice: torch's fused ones have one derivative, and
adaptation by gradients in a meta-gradient needs two. It is the same for all algorithms and plans, so that none has
numbers of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch.backends import cuda, mha

P = ParamSpec("P")
T = TypeVar("T")
FUSED: tuple[tuple[Callable[[], bool], Callable[[bool], object]], ...] = (
    (cuda.flash_sdp_enabled, cuda.enable_flash_sdp),
    (cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp),
    (cuda.cudnn_sdp_enabled, cuda.enable_cudnn_sdp),
    (mha.get_fastpath_enabled, mha.set_fastpath_enabled),
)
"""How torch is asked whether it may use each of its kernels, and told; they are a processor's too."""


@contextmanager
def differentiable_twice() -> Iterator[None]:
    """Compute attention from matrix products and a softmax."""
    # torch.nn.attention.sdpa_kernel does most of this in three times as long, and every call of a network is in it.
    had_products = cuda.math_sdp_enabled()
    had = [enabled() for enabled, _ in FUSED]
    cuda.enable_math_sdp(True)
    for _, enable in FUSED:
        enable(False)
    try:
        yield
    finally:
        cuda.enable_math_sdp(had_products)
        for (_, enable), before in zip(FUSED, had, strict=True):
            enable(before)


def differentiating(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, which differentiates also where it is called in `torch.no_grad` or `torch.inference_mode`."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.inference_mode(False), torch.enable_grad():
            return function(*args, **kwargs)

    return called
