"""`mamlzoo trust`."""

from __future__ import annotations

import click

from mamlzoo.cli import console


@click.command("trust")
@click.argument("references", nargs=-1, required=True, metavar="FILE.py:NAME...")
def command(references: tuple[str, ...]) -> None:
    """Let run directories have the code at FILE.py:NAME run, as it is now.

    A run directory names code of its own by its place and its SHA-256. `resume`, `adapt`, `plot adaptation`,
    `plot embedding` and `report` execute it if it was run here before, or is named by this command; one that you were
    handed is refused until you have read its code. Code that is changed later must be named again. Nothing is executed
    by this command.
    """
    from mamlzoo.discovery import trust
    from mamlzoo.discovery.source_code import source_at

    sources = [source_at(text) for text in references]
    trust.add(sources)
    for source in sources:
        console.out().print(f"trusted: {source.reference}, SHA-256 {source.sha256}")
    console.say_where(trust.path())
