"""`mamlzoo reproduce`."""

from __future__ import annotations

from pathlib import Path

import click

from mamlzoo.cli import console
from mamlzoo.cli.run_flags import checkpoint_flag, log_flag
from mamlzoo.cli.stopping import recorded
from mamlzoo.tables import Table


@click.command("reproduce")
@click.argument("name", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Directory to save to, or to go on with.  [default: a new one below runs/]",
)
@checkpoint_flag
@log_flag
@click.option("--quiet", "-q", is_flag=True, help="No progress and no logs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str | None,
    out: Path | None,
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
        if as_json:
            console.print_json({"recipes": [
                {"name": recipe.name, "version": recipe.version, "summary": recipe.summary, "source": recipe.source,
                 "minutes": recipe.minutes, "unknown": list(recipe.unknown)} for _, recipe in sorted(recipes.items())
            ]})  # fmt: skip
            return
        rows = [(recipe.name, recipe.summary, f"{recipe.minutes:g} min") for _, recipe in sorted(recipes.items())]
        console.print_table(Table("recipes", ("name", "what it makes again", "takes about"), rows, left=(0, 1)))
        return
    from mamlzoo.reproductions import reproduction
    from mamlzoo.runs import directory as run_directory

    recipe = installed().recipe(name)
    directory = out or run_directory.default_directory(f"reproduce-{name}")
    with recorded(lambda: reproduction.command(name, directory), checkpoint_every, loggers, quiet) as policy:
        found = reproduction.reproduce(recipe, directory, policy)
    if as_json:
        console.print_json(found.document())
    else:
        console.print_table(found.table())
    if not quiet:
        console.say_where(directory)
    ctx.exit(0 if found.passed else 1)
