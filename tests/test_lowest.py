"""The lowest versions that are declared are those that can be installed and tested together."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def release(version: str) -> tuple[int, ...]:
    """As numbers, without zeros at the end: 8.2 is 8.2.0."""
    return tuple(map(int, re.sub(r"(\.0)*$", "", version).split(".")))


def test_the_lowest_versions_are_those_that_the_project_declares():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    pinned = re.findall(r"^([a-z_]+)==(\S+)$", (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8"), re.M)
    lowest = dict(line.split(">=") for line in declared)
    assert {name: release(version) for name, version in pinned} == {
        name: release(version) for name, version in lowest.items()
    }
