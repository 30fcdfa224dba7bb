"""`mamlzoo compare`."""

from __future__ import annotations

from typing import Any

import click

from mamlzoo.cli.flags import SettingsCommand
from mamlzoo.cli.runner import Request, run_flags


class CompareCommand(SettingsCommand):
    """Takes several of each kind."""

    several = True
    defaults = {"task": ["sine"], "model": ["mlp"], "algorithm": ["maml", "fomaml", "transfer", "scratch"]}  # noqa: RUF012


@click.command("compare", cls=CompareCommand)
@run_flags
def command(**flags: Any) -> None:
    """Train and test several combinations, on the same test tasks, and show them side by side.

    -t, -m and -a may be repeated; every combination is run. A plugin's option goes to each plugin of its kind that has
    it. Saves a directory with a run directory for each combination and one figure for all.
    """
    from mamlzoo import store
    from mamlzoo.result import Comparison

    request = Request(**flags)
    several = request.experiments()
    with request.saving("compare") as (temporary, directory):
        with request.progress() as progress:
            comparison = Comparison([experiment.run(progress) for experiment in several])
        comparison = store.write_comparison(comparison, temporary, directory)
    request.report(comparison.table(), {**comparison.document(), "run_dir": str(directory)}, directory)
