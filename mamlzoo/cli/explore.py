"""`mamlzoo explore`."""

from __future__ import annotations

from pathlib import Path

import click

from mamlzoo.cli import console
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
@click.option("--episode", type=click.IntRange(0), default=0, show_default=True, help="Test episode to begin with.")
@click.option("--seed", type=int, help="Whose θ; without it, the first seed's that did not diverge.")
@click.option(
    "--steps", type=click.IntRange(1, 1000), default=20, show_default=True, help="Most adaptation steps to choose from."
)
def command(runs: tuple[Path, ...], output: Path, episode: int, seed: int | None, steps: int) -> None:
    """Write a page on which RUNS adapt, live, to support points that you drag.

    θ travels in the page and the inner loop runs in the browser, for tasks from one number to one number. Of images,
    the page shows what changes in an episode when a support image is exchanged. It is one file that needs no network.
    """
    from mamlzoo import api
    from mamlzoo.runs import directory as run_directory

    api.explore([run_directory.load(run) for run in expanded(runs)], output, episode=episode, seed=seed, steps=steps)
    console.say_where(output)
