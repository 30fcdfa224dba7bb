"""Run directories as arguments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from mamlzoo.errors import UsageError

runs_argument = click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))


def expanded(runs: Sequence[Path]) -> list[Path]:
    """The run directories, each once; a directory of a comparison, a recipe or a sweep stands for all of its own.

    Raises:
        UsageError: such a directory has no finished run.
    """
    found: dict[str, Path] = {}
    for run in runs:
        for path in _own(run):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _own(run: Path) -> list[Path]:
    below = [path.parent for path in run.glob("*/config.json")]
    if (run / "config.json").is_file() or not below:
        return [run]
    finished = [path for path in below if (path / "result.json").is_file()]
    if not finished:
        raise UsageError(f"{run} has no finished run; `mamlzoo resume {below[0]}` goes on with one")
    # As they were made, which is the order that the comparison was asked for.
    return sorted(finished, key=lambda path: ((path / "config.json").stat().st_mtime_ns, path.name))
