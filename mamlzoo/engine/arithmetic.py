"""How the processor computes: by how many threads, and what it makes of tiny numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mamlzoo.engine.memory import MIB

SPREAD = 8 * MIB
"""What the tensors of a batched call take together, from which on several threads are faster than one; measured."""


def available_threads() -> int:
    """One for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def matrix_products_in(precision: str) -> Iterator[None]:
    """Let float32 matrix products on a GPU be computed in TF32 meanwhile, if `precision` is 'tf32'; else not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def computing(threads: int) -> Iterator[None]:
    """Compute with so many threads meanwhile; numbers below 1e-38 count as 0, as on a GPU and in JAX.

    An optimiser's averages of gradients that have become 0 decay into that range, where a processor takes a hundred
    times as long for each operation.
    """
    before, flushed = torch.get_num_threads(), bool(torch.tensor(1e-40) * 1 == 0)
    torch.set_flush_denormal(True)
    if threads != before:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        if threads != before:
            torch.set_num_threads(before)
