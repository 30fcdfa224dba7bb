"""Run directories as arguments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from mamlzoo.errors import UsageError

runs_argument = click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))


def expanded(runs: Sequence[Path]) -> list[Path]:
    """The run directories, each once, a comparison's directory standing for all of its own.

    Raises:
        UsageError: a comparison's directory has none.
    """
    found: dict[str, Path] = {}
    for run in runs:
        is_comparison = (run / "comparison.json").is_file()
        own = sorted(path.parent for path in run.glob("*/result.json")) if is_comparison else [run]
        if not own:
            raise UsageError(f"{run} is a comparison without a run directory: none of its folders has a result.json")
        for path in own:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())
