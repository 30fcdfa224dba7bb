"""`mamlzoo reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlzoo.cli import completion, console
from mamlzoo.cli.executor_flags import ExecutorChoice, executor_flags
from mamlzoo.cli.run_flags import checkpoint_flag, log_flag
from mamlzoo.cli.stopping import recorded
from mamlzoo.errors import UsageError
from mamlzoo.tables import Table

if TYPE_CHECKING:
    from mamlzoo.contracts.recipes import Recipe


@click.command("reproduce")
@click.argument("name", required=False, shell_complete=completion.recipes)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Directory to save to, or to go on with.  [default: a new one below runs/]",
)
@click.option("--full", is_flag=True, help="The published budget, where the recipe has a shorter one too.")
@executor_flags
@checkpoint_flag
@log_flag
@click.option("--quiet", "-q", is_flag=True, help="No progress and no logs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str | None,
    out: Path | None,
    full: bool,
    executor: str,
    jobs: int | None,
    address: str | None,
    checkpoint_every: str,
    loggers: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Make the published experiment NAME again, and put its numbers beside ours; without NAME, list what there is.

    Exit code 1 if ours are not as published. What was stopped goes on when it is called again with the same --out.
    """
    from mamlzoo.discovery.entry_points import installed

    recipes = installed().recipes
    if name is None:
        _list([recipe for _, recipe in sorted(recipes.items())], as_json)
        return
    from mamlzoo.reproductions import reproduction
    from mamlzoo.runs import directory as run_directory

    recipe = installed().recipe(name)
    if full and recipe.full is None:
        raise UsageError(f"recipe '{name}' has one budget, the published one: leave out --full")
    recipe = recipe.full if full and recipe.full is not None else recipe
    directory = out or run_directory.default_directory(f"reproduce-{name}")
    spread = ExecutorChoice(executor, jobs, address)
    by = spread.executor()

    def again() -> str:
        return f"{reproduction.command(name, directory, full=full)}{spread}"

    with recorded(again, checkpoint_every, loggers, quiet) as policy:
        found = reproduction.reproduce(recipe, directory, policy, by)
    if as_json:
        console.print_json(found.document())
    else:
        for ranking in found.rankings.values():
            console.print_table(ranking.table())
        console.print_table(found.table())
    if not quiet:
        console.say_where(directory)
    ctx.exit(0 if found.passed else 1)


def _list(recipes: Sequence[Recipe], as_json: bool) -> None:
    if as_json:
        console.print_json({"recipes": [
            {"name": recipe.name, "version": recipe.version, "summary": recipe.summary, "source": recipe.source,
             "minutes": recipe.minutes, "full_minutes": recipe.full.minutes if recipe.full else None,
             "unknown": list(recipe.unknown)} for recipe in recipes
        ]})  # fmt: skip
        return
    rows = [
        [recipe.name, recipe.summary, _about(recipe.minutes), _about(recipe.full.minutes) if recipe.full else ""]
        for recipe in recipes
    ]
    console.print_table(Table("recipes", ["name", "what it makes again", "takes about", "--full"], rows, left=(0, 1)))


def _about(minutes: float) -> str:
    return f"{minutes:g} min" if minutes < 120 else f"{minutes / 60:.0f} h"
