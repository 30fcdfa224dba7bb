"""Where numbers are computed, and in which precision: the device, of one process or of several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mamlzoo.errors import UsageError


def device_of(name: str) -> torch.device:
    """The device of that name.

    Raises:
        UsageError: it is not there.
    """
    if name == "cuda" and local_workers() > 1:
        name = _own_gpu()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise UsageError(f"there is no device '{name}' here; there are: {', '.join(there)}") from error
    return device


def local_workers() -> int:
    """How many processes of this machine make this run together, as torchrun says."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _own_gpu() -> str:
    """Each worker of a machine has a GPU of its own.

    Raises:
        UsageError: there are fewer.
    """
    if torch.cuda.device_count() < local_workers():
        raise UsageError(
            f"{local_workers()} workers of one machine want a GPU each, and it has {torch.cuda.device_count()}; choose "
            "fewer workers"
        )
    return f"cuda:{os.environ['LOCAL_RANK']}"


@contextmanager
def matrix_products_in(precision: str) -> Iterator[None]:
    """Let float32 matrix products on a GPU be computed in TF32 meanwhile, if `precision` is 'tf32'; else not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
