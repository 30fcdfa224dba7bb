"""`mamlzoo new-plugin`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from mamlzoo.cli import console
from mamlzoo.cli.argument_words import SHORT_FLAGS


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(SHORT_FLAGS)), required=True, help="What it adds to the zoo.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory to write.  [default: ./NAME]")
def command(name: str, kind: str, out: Path | None) -> None:
    """Write a package with a plugin NAME that works as it stands.

    It has a pyproject.toml with the entry point, one module with a small example to change, its tests (the conformance
    kit), a README and a licence. Nothing is overwritten.
    """
    from mamlzoo.scaffold.package import write

    directory = out or Path(name)
    for path in write(name, kind, directory):
        console.out().print(str(path), soft_wrap=True)
    shown = shlex.quote(str(directory) if directory.is_absolute() else f"./{directory}")
    console.say_to_copy(f"next: pip install {shown} && mamlzoo check {name} && mamlzoo run {SHORT_FLAGS[kind]} {name}")
