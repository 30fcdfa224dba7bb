"""`mamlzoo compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mamlzoo.cli import console
from mamlzoo.cli.flags import SettingsCommand
from mamlzoo.cli.runner import run_flags, seeds_of, watched


class CompareCommand(SettingsCommand):
    """Takes several of each kind."""

    several = True
    defaults = {"task": ["sine"], "model": ["mlp"], "algorithm": ["maml", "fomaml", "transfer", "scratch"]}  # noqa: RUF012


@click.command("compare", cls=CompareCommand)
@run_flags
def command(
    chosen: dict[str, list[str]],
    options: dict[str, Any],
    settings: dict[str, Any],
    seeds: int | None,
    seed_list: str | None,
    threads: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train and test several combinations, on the same test tasks, and show them side by side.

    -t, -m and -a may be repeated; every combination is run. A plugin's option goes to each plugin of its kind that has
    it. Saves a directory with a run directory for each combination and one figure for all.
    """
    from mamlzoo import store
    from mamlzoo.experiment import experiments
    from mamlzoo.result import Comparison

    several = experiments(
        chosen["task"],
        chosen["model"],
        chosen["algorithm"],
        options=options,
        seeds=seeds_of(seeds, seed_list),
        **settings,
    )
    directory = out or store.default_directory("compare")
    with store.new_directory(directory) as temporary:
        with watched(threads, quiet) as progress:
            comparison = Comparison([experiment.run(progress) for experiment in several])
        comparison = store.write_comparison(comparison, temporary, directory)
    if as_json:
        console.print_json({**comparison.document(), "run_dir": str(directory)})
    else:
        console.print_table(comparison.table())
    if not quiet:
        console.say_where(directory)
