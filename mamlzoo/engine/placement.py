"""Where numbers are computed, and in which precision: the device, of one process or of several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mamlzoo.engine import torchrun
from mamlzoo.errors import UsageError


def device_of(name: str) -> torch.device:
    """The device of that name.

    Raises:
        UsageError: it is not there.
    """
    if name == "cuda" and torchrun.count_here() > 1:
        name = _own_gpu()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise UsageError(f"there is no device '{name}' here; there are: {', '.join(there)}") from error
    return device


def _own_gpu() -> str:
    """Each worker of a machine has a GPU of its own.

    Raises:
        UsageError: there are fewer.
    """
    workers, there = torchrun.count_here(), torch.cuda.device_count()
    if there < workers:
        raise UsageError(f"{workers} workers of one machine want a GPU each, and it has {there}; choose fewer workers")
    return f"cuda:{torchrun.rank_here()}"


@contextmanager
def matrix_products_in(precision: str) -> Iterator[None]:
    """Let float32 matrix products on a GPU be computed in TF32 meanwhile, if `precision` is 'tf32'; else not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
