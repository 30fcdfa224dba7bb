"""The processor: what it is, how many threads it may have, and what it makes of tiny numbers."""

from __future__ import annotations

import functools
import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mamlzoo.engine import torchrun
from mamlzoo.engine.memory import MIB

SPREAD = 8 * MIB
"""What the tensors of a batched call take together, from which on several threads are faster than one; measured."""
QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""How many microseconds of processor time a container may use in how many."""


@functools.cache
def cpuinfo() -> tuple[str, ...]:
    """What Linux says of the processor, line by line; nothing elsewhere."""
    try:
        return tuple(Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines())
    except OSError:
        return ()


def processor() -> tuple[str, ...]:
    """What tells this processor from others: its code is written for just its instructions, and kills others."""
    if not cpuinfo():
        return (platform.machine(), platform.processor(), torch.backends.cpu.get_cpu_capability())
    telling = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    return (platform.machine(), *sorted({line for line in cpuinfo() if line.startswith(telling)}))


def available_threads() -> int:
    """One for each core that this process may use, or for each core's worth of time where a container has less.

    Where it is one of several workers on this machine, as torchrun says, they share these.
    """
    return max(1, cores() // torchrun.count_here())


def cores() -> int:
    """The cores that this process and those beside it may use together, or so many cores' worth of time."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = map(int, QUOTA.read_text(encoding="utf-8").split())
    except (OSError, ValueError):  # there is none, or it says 'max'
        return found
    return max(1, min(found, math.ceil(allowed / period)))


def is_busy() -> bool:
    """Whether more processes want to compute than there are cores."""
    try:
        return os.getloadavg()[0] > (os.cpu_count() or 1)
    except (AttributeError, OSError):  # it is not known
        return False


@contextmanager
def computing(threads: int) -> Iterator[None]:
    """Compute with so many threads meanwhile; numbers below 1e-38 count as 0, as on a GPU and in JAX.

    An optimiser's averages of gradients that have become 0 decay into that range, where a processor takes a hundred
    times as long for each operation.
    """
    flushed = bool(torch.tensor(1e-40) * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        with on_threads(threads):
            yield
    finally:
        torch.set_flush_denormal(flushed)


@contextmanager
def on_threads(threads: int) -> Iterator[None]:
    """Use so many threads meanwhile, for whatever is done.

    One more than there is a core for is dear: those that have nothing to do wait in a loop that keeps a core busy.
    """
    before = torch.get_num_threads()
    if threads != before:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        if threads != before:
            torch.set_num_threads(before)
