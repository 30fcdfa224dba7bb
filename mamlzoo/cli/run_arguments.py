"""Run directories as arguments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mamlzoo.errors import UsageError


class TrainedArgument(click.Argument):
    """A trained θ, or several, by whatever name it has; one that is missing gets a line that says what would do."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            return super().process_value(ctx, value)
        except click.MissingParameter as error:
            which = "a run directory, a file of `mamlzoo pack`, or a name that `mamlzoo zoo` lists"
            raise UsageError(f"{self.human_readable_name} is missing: give {which}") from error


run_argument = click.argument("run", cls=TrainedArgument, type=click.Path(path_type=Path))
runs_argument = click.argument("runs", cls=TrainedArgument, nargs=-1, required=True, type=click.Path(path_type=Path))


def expanded(runs: Sequence[Path]) -> list[Path]:
    """The run directories, each once; a directory of a comparison, a recipe or a sweep stands for all of its own.

    Raises:
        UsageError: a comparison is not finished, or another such directory has no finished run.
    """
    found: dict[str, Path] = {}
    for run in runs:
        for path in _own(run):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _own(run: Path) -> list[Path]:
    from mamlzoo.comparisons import directory as comparison_directory
    from mamlzoo.runs import directory as run_directory
    from mamlzoo.runs.commands import resume_command
    from mamlzoo.sweeps import directory as sweep_directory

    if comparison_directory.is_comparison(run):
        return comparison_directory.runs(run)
    if sweep_directory.is_sweep(run) and (found := sweep_directory.runs(run)):
        return found
    below = [path.parent for path in run.glob("*/config.json")]
    if run_directory.is_run(run) or not below:
        return [run]
    finished = [path for path in below if run_directory.is_finished(path)]
    if not finished:
        raise UsageError(f"{run} has no finished run; `{resume_command(below[0])}` goes on with one")
    return sorted(finished)
