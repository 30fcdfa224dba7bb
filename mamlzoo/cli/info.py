"""`mamlzoo info`."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING

import click
from rich.text import Text

from mamlzoo.cli import completion, console
from mamlzoo.cli.argument_words import SHORT_FLAGS
from mamlzoo.tables import Table

if TYPE_CHECKING:
    from mamlzoo.contracts.plugins import Plugin


@click.command("info")
@click.argument("name", shell_complete=completion.plugins(*SHORT_FLAGS))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, as_json: bool) -> None:
    """Explain the plugin NAME, or FILE.py:NAME: its maths, its options with defaults, its reference."""
    from mamlzoo.contracts.options import describe
    from mamlzoo.discovery.entry_points import installed

    found = installed().find(name)
    if as_json:
        plugins = [
            {
                "kind": offer.cls.kind,
                "name": name,
                "summary": offer.cls.summary(),
                "description": _description(offer.cls),
                "distribution": offer.origin.distribution,
                "version": offer.origin.version,
                "options": [
                    {
                        "name": option.name,
                        "type": option.metavar,
                        "default": option.default,
                        "help": option.help,
                        "bounds": bounds,
                    }
                    for option, bounds in describe(offer.cls)
                ],
            }
            for offer in found
        ]
        console.print_json(plugins[0] if len(plugins) == 1 else plugins)
        return
    for offer in found:
        kind = offer.cls.kind
        told = _description(offer.cls) or ("no docstring" if sys.flags.optimize < 2 else "python -OO strips docstrings")
        console.out().print(
            Text.assemble((f"{kind} {name}", "bold"), f"  ({offer.origin.distribution} {offer.origin.version})\n")
        )
        console.out().print((_reflowed(told) if console.out().is_terminal else told) + "\n")
        rows = [
            (
                f"--{kind}.{option.flag}",
                option.text(option.default),
                f"{option.help} ({bounds})" if bounds else option.help,
            )
            for option, bounds in describe(offer.cls)
        ]
        if rows:
            console.print_table(Table("options", ("option", "default", "meaning"), rows, left=(0, 1, 2)))
        else:
            console.out().print("It has no options.")


def _reflowed(text: str) -> str:
    """Each paragraph as one line, to be wrapped again; formulas, which are indented, and lists stay as they are."""
    lines: list[str] = []
    for line in text.splitlines():
        if lines and lines[-1] and line and lines[-1][0] != " " and line[0] not in " -*":
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return "\n".join(lines)


def _description(cls: type[Plugin]) -> str | None:
    """The docstring of the class itself, not that of one it inherits from."""
    return inspect.cleandoc(cls.__doc__) if cls.__doc__ else None
