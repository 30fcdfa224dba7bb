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
@click.option("--baseline", metavar="NAME", help="Algorithm, model or result that all others are compared with.")
@click.option(
    "--at-step", type=click.IntRange(min=0), help="Adaptation steps after which to compare.  [default: the last]"
)
def command(baseline: str | None, at_step: int | None, **flags: Any) -> None:
    """Train and test several combinations, on the same test tasks, and show them side by side.

    -t, -m and -a may be repeated; every combination is run. A plugin's option goes to each plugin of its kind that has
    it. A second table says which differences are real: between neighbours in the ranking, and against the baseline.
    Saves a directory with a run directory for each combination and one figure for all.
    """
    from mamlzoo import paired, store
    from mamlzoo.result import Comparison

    request = Request(**flags)
    several = request.experiments()
    paired.check([experiment.config() for experiment in several], baseline, at_step)
    with request.saving("compare") as (temporary, directory):
        with request.progress() as progress:
            comparison = Comparison([experiment.run(progress) for experiment in several], baseline, at_step)
        comparison = store.write_comparison(comparison, temporary, directory)
    differences = comparison.differences()
    request.report(
        comparison.table(),
        {**comparison.document(), "run_dir": str(directory)},
        directory,
        further=[differences.table()] if differences.rows else [],
    )
