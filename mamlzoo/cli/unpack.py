"""`mamlzoo unpack`."""

from __future__ import annotations

from pathlib import Path

import click

from mamlzoo.cli import console


@click.command("unpack")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Directory to write.  [default: named after FILE, here]"
)
@click.option("--quiet", "-q", is_flag=True, help="Do not say where it was saved.")
def command(file: Path, out: Path | None, quiet: bool) -> None:
    """Make a run directory of FILE, which `mamlzoo pack` wrote, or of a name that `mamlzoo zoo` lists.

    No code of the file's is executed, so no figure is drawn; `mamlzoo plot` and `mamlzoo report` draw them.
    """
    from mamlzoo.runs import directory as run_directory
    from mamlzoo.runs import trained

    result = trained.packed_of(file).result
    directory = out or Path(trained.title_of(file))
    run_directory.save(result, directory)
    console.print_table(result.table())
    if not quiet:
        console.say_where(directory)
