"""`mamlzoo explore`."""

from __future__ import annotations

from pathlib import Path

import click

from mamlzoo.cli import console
from mamlzoo.cli.flags import numeric
from mamlzoo.cli.plot import seed_flag
from mamlzoo.cli.run_arguments import expanded, runs_argument


@click.command("explore")
@runs_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("explore.html"),
    show_default=True,
    help="File to write; one that is there already is replaced.",
)
@click.option("--episode", type=numeric(minimum=0), default=0, show_default=True, help="Test task to begin with.")
@seed_flag
@click.option(
    "--steps", type=numeric(minimum=1, maximum=1000), default=20, show_default=True, help="Most that can be chosen."
)
def command(runs: tuple[Path, ...], output: Path, episode: int, seed: int | None, steps: int) -> None:
    """Write a page on which RUNS adapt, live, to support points that you drag.

    RUNS are run directories, packed runs, or names of `mamlzoo zoo`.

    θ travels in the page and the inner loop runs in the browser, for tasks from one number to one number. Of images,
    the page shows what changes in an episode when a support image is exchanged. It is one file that needs no network.
    """
    from mamlzoo import api
    from mamlzoo.runs import trained

    api.explore([trained.result_of(run) for run in expanded(runs)], output, episode=episode, seed=seed, steps=steps)
    console.say_where(output)
