"""`mamlzoo report`."""

from __future__ import annotations

from pathlib import Path

import click

from mamlzoo.cli import console
from mamlzoo.cli.run_arguments import expanded, runs_argument


@click.command("report")
@runs_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="File to write; one that is there already is replaced.",
)
def command(runs: tuple[Path, ...], output: Path) -> None:
    """Put RUNS on one HTML page: tables, figures, configs, and the commands that make the runs again.

    A comparison's directory stands for all of its runs. The page is a single file that needs no network.
    """
    from mamlzoo import api, pages
    from mamlzoo.comparisons import directory as comparison_directory
    from mamlzoo.comparisons.comparison import Comparison
    from mamlzoo.runs import trained

    pages.check_path(output)
    if len(runs) == 1 and comparison_directory.is_comparison(runs[0]):
        comparison = comparison_directory.load(runs[0])
    else:
        comparison = Comparison([trained.result_of(run) for run in expanded(runs)])
    api.report(comparison, output)
    console.say_where(output)
