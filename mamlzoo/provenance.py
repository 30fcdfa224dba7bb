"""Where numbers come from: the machine, and the revision of the code that asked for them."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

HARMLESS = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "protocol.allow=never", "core.untrackedCache=false")
"""What a repository may not say for itself: programs that git would run, and places that it would fetch from."""
FILTER = re.compile(rb"filter\..*\.(clean|process)", re.DOTALL)
"""Settings that are programs too, of names that the repository chooses."""


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
        revision = _git(directory, "rev-parse", "HEAD").decode("ascii").strip()
        listed = _git(directory, "config", "--name-only", "-z", "--list").split(b"\0")
        filters = [os.fsdecode(name) for name in listed if FILTER.fullmatch(name)]
        # Submodules have hooks of their own.
        status = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
        changes = _git(directory, *status, emptied=filters)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return {"revision": revision, "changed": bool(changes)}


def _git(directory: Path, *arguments: str, emptied: Sequence[str] = ()) -> bytes:
    """What git answers in a directory, without running anything that the repository there names.

    Args:
        emptied: names of settings, as of filters, that are to be empty.
    """
    settings = [*HARMLESS, *(f"{name}=" for name in emptied)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
    flags = [word for setting in settings for word in ("-c", setting)]
    return subprocess.run(
        ["git", "--no-pager", "-C", str(directory), *flags, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=5,
        env=environment,
    ).stdout


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
