"""Where numbers come from: the machine, and the revision of the code that asked for them."""

from __future__ import annotations

import functools
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch


def machine(device: torch.device, threads: int) -> dict[str, Any]:
    """What computes: the device by name, and how many CPU threads may."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {"device": str(device), "processor": name, "threads": threads, "system": platform.platform()}


def git_revision() -> dict[str, Any] | None:
    """The commit of the working directory and whether it has uncommitted changes; None where there is no git."""
    return _git_revision(Path.cwd())


@functools.cache
def _git_revision(directory: Path) -> dict[str, Any] | None:
    try:
        revision, changes = (
            subprocess.run(
                ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=True, timeout=5
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"revision": revision, "changed": bool(changes)}


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
