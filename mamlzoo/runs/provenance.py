"""Where numbers come from: the machine, and the revision of the code that asked for them."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mamlzoo.engine import torchrun
from mamlzoo.engine.cpu import cpuinfo

HARMLESS = {"core.fsmonitor": "false", "core.hooksPath": os.devnull, "core.untrackedCache": "false"}
"""What a repository may not say for itself: programs that git would run."""
FILTER = re.compile(rb"filter\..*\.(clean|process)", re.DOTALL)
"""Settings that are programs too, of names that the repository chooses."""
OLDEST = (2, 31)
"""The git that first took settings from the environment; one before would run what the repository names."""


def machine(device: torch.device, threads: int) -> dict[str, Any]:
    """What computes: the device by name, how many CPU threads may, and in how many processes if in several."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    found = {"device": str(device), "processor": name, "threads": threads, "system": platform.platform()}
    return found if torchrun.count() == 1 else found | {"workers": torchrun.count()}


def git_revision() -> dict[str, Any] | None:
    """The commit of the working directory and whether it has uncommitted changes; None where there is no git."""
    return _git_revision(Path.cwd())


@functools.cache
def _git_revision(directory: Path) -> dict[str, Any] | None:
    try:
        if _version(_git(directory, "version")) < OLDEST:
            return None
        revision = _git(directory, "rev-parse", "HEAD").decode("ascii").strip()
        listed = _git(directory, "config", "--name-only", "-z", "--list").split(b"\0")
        filters = {os.fsdecode(name): "" for name in listed if FILTER.fullmatch(name)}
        # Submodules have hooks of their own.
        status = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
        changes = _git(directory, *status, settings=HARMLESS | filters)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return {"revision": revision, "changed": bool(changes)}


def _version(said: bytes) -> tuple[int, int]:
    """Of `git version 2.39.5`.

    Raises:
        ValueError: it says something else.
    """
    found = re.match(rb"git version (\d+)\.(\d+)", said)
    if found is None:
        raise ValueError(said)
    return int(found[1]), int(found[2])


def _git(directory: Path, *arguments: str, settings: Mapping[str, str] = HARMLESS) -> bytes:
    """What git answers in a directory, without running anything that the repository there names.

    Args:
        settings: what overrules those of the repository. Not by `-c`, which ends a name at its first `=`.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # No protocol is allowed, whatever the repository's `protocol.*.allow` says.
    environment |= {"GIT_ALLOW_PROTOCOL": "", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": str(len(settings))}
    for at, (name, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{at}": name, f"GIT_CONFIG_VALUE_{at}": value}
    return subprocess.run(
        ["git", "--no-pager", "-C", str(directory), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=5,
        env=environment,
    ).stdout


def _processor() -> str:
    names = [line.partition(":")[2].strip() for line in cpuinfo() if line.startswith("model name")]
    if names:
        return names[0]
    return platform.machine() if cpuinfo() else platform.processor() or platform.machine()
