"""`mamlzoo verify`."""

from __future__ import annotations

from typing import Any

import click

from mamlzoo.cli import console
from mamlzoo.cli.argument_words import SHORT_FLAGS
from mamlzoo.cli.flags import PluginCommand, numeric
from mamlzoo.contracts.numbers_as_text import LARGEST


@click.command("verify", cls=PluginCommand)
@click.option("--episodes", type=numeric(minimum=1), default=2, show_default=True, help="How many episodes.")
@click.option(
    "--coordinates",
    type=numeric(minimum=1),
    default=64,
    show_default=True,
    help="How many numbers of θ to check, chosen at random where it has more.",
)
@click.option(
    "--seed",
    type=numeric(minimum=0, maximum=LARGEST),
    default=0,
    show_default=True,
    help="Of θ⁰, episodes and choice.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the tables.")
@click.pass_context
def command(
    ctx: click.Context,
    chosen: dict[str, list[str]],
    options: dict[str, Any],
    episodes: int,
    coordinates: int,
    seed: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Check a combination's meta-gradient in float64.

    Shows the meta-gradient at the initial θ by autograd, by central differences, and in closed form where the task
    knows one. Exit code 1 if they disagree, or if several episodes computed at once, as in a run, have another one.
    """
    from mamlzoo.verification.central_differences import verify

    names = [chosen[kind][0] for kind in SHORT_FLAGS]
    verification = verify(
        *names,
        options=options,
        episodes=episodes,
        coordinates=coordinates,
        seed=seed,
        progress=not quiet,
    )
    if as_json:
        console.print_json(verification.document())
    else:
        for table in verification.tables():
            console.print_table(table)
            console.out().print()
        console.out().print(verification.verdict)
    ctx.exit(0 if verification.passed else 1)
