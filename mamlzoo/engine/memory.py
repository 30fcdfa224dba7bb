"""How much memory an episode needs, and how much was in use at most."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mamlzoo import trees

MIB = 2**20
BUDGET = 1024 * MIB
"""What the tensors of one batched call may take together, where no chunk is asked for; an estimate from above."""


def allocated_by(function: Callable[[], Any]) -> int:
    """Bytes of all tensors that a call makes, as if none were freed: a bound on what it holds at once."""
    allocations = _Allocations()
    with allocations:
        function()
    return allocations.bytes


class _Allocations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if all(returned.alias_info is None for returned in func._schema.returns):  # neither a view nor in place
            self.bytes += sum(leaf.nbytes for leaf in trees.leaves(result) if isinstance(leaf, Tensor))
        return result


def peak_memory(device: torch.device) -> float:
    """MiB in use at most since this was last asked, or else since the process began: of a GPU, or of this process.

    So a run's peak has all that was held while it was prepared, as the data that were read for it.
    """
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
    else:
        peak = _peak()
        _reset_peak()
    return peak / MIB


def _reset_peak() -> None:
    """Linux forgets a process's peak when told to; elsewhere the peak is that of the whole process's life."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> int:
    """Bytes resident at most."""
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    except (OSError, IndexError):
        return _peak_of_life()


def _peak_of_life() -> int:
    """Bytes resident at most since the process began; 0 on systems that do not tell."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
