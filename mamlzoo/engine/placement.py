"""Where numbers are computed, and in which precision: the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mamlzoo.errors import UsageError


def device_of(name: str) -> torch.device:
    """The device of that name.

    Raises:
        UsageError: it is not there.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise UsageError(f"there is no device '{name}' here; there are: {', '.join(there)}") from error
    return device


@contextmanager
def matrix_products_in(precision: str) -> Iterator[None]:
    """Let float32 matrix products on a GPU be computed in TF32 meanwhile, if `precision` is 'tf32'; else not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
