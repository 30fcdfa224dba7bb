"""`mamlzoo list`."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from mamlzoo.cli import console
from mamlzoo.cli.argument_words import SHORT_FLAGS
from mamlzoo.tables import Table

if TYPE_CHECKING:
    from mamlzoo.discovery.failures import Failure, Origin
    from mamlzoo.discovery.registry import Registry


@click.command("list")
@click.argument("kind", required=False, type=click.Choice(list(SHORT_FLAGS)))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(kind: str | None, as_json: bool) -> None:
    """Show the tasks, models, algorithms, recipes and loggers there are, and the plugins that failed."""
    from mamlzoo.discovery.entry_points import installed

    registry = installed()
    kinds = [kind] if kind else list(registry.offers)
    others = {} if kind else {"recipes": sorted(registry.recipes), "loggers": sorted(registry.loggers)}
    if as_json:
        offers = {
            f"{shown}s": [
                {
                    "name": name,
                    "summary": offer.cls.summary(),
                    "distribution": offer.origin.distribution,
                    "version": offer.origin.version,
                    "module": offer.origin.module,
                }
                for name, offer in sorted(registry.offers[shown].items())
            ]
            for shown in kinds
        }
        aside = {
            "failures": [
                {
                    **_whose(failure.origin),
                    "plugin": failure.offered,
                    "stage": failure.stage,
                    "file": failure.file,
                    "line": failure.line,
                    "error": f"{type(failure.error).__name__}: {failure.error}",
                    "what": failure.what,
                    "remedy": failure.remedy,
                }
                for failure in registry.failures
            ],
            "left_out": [_whose(origin) for origin in registry.left_out],
            "unknown": registry.unknown,
        }
        named = {what: [{"name": name} for name in names] for what, names in others.items()}
        console.print_json({**offers, **named, **aside})
        return
    for shown in kinds:
        rows = [
            (name, offer.cls.summary(), offer.origin.release) for name, offer in sorted(registry.offers[shown].items())
        ]
        console.print_table(Table(f"{shown}s", ("name", "what it is", "from"), rows, left=(0, 1, 2)))
    for what, names in others.items():
        console.out().print(f"{what}: {', '.join(names)}")
    if registry.failures:
        failed = [(failure.name, "\n".join(_told(failure))) for failure in registry.failures]
        columns = ("name", "what went wrong, what to do, and where")
        console.print_table(Table("failed plugins", columns, failed, left=(0, 1)))
    for note in _left_out(registry):
        console.out().print(note)
    if click.get_current_context().find_root().params["debug"]:
        for failure in registry.failures:
            console.err().print(f"\n{failure}")
            console.err().print("".join(traceback.format_exception(failure.error)), end="")


def _whose(origin: Origin) -> dict[str, str]:
    return {
        "distribution": origin.distribution,
        "version": origin.version,
        "entry_point": origin.entry_point,
        "module": origin.module,
    }


def _told(failure: Failure) -> Iterator[str]:
    origin = failure.origin
    yield failure.what
    yield f"→ {failure.remedy}"
    yield f"{origin.release}, entry point {origin.entry_point} = {origin.value}"
    if failure.where:
        yield failure.where


def _left_out(registry: Registry) -> Iterator[str]:
    """What `MAMLZOO_PLUGINS` did."""
    from mamlzoo.errors import did_you_mean

    if registry.left_out:
        names = sorted({origin.release for origin in registry.left_out})
        yield f"MAMLZOO_PLUGINS leaves out: {', '.join(names)}"
    known = {origin.distribution for origin in registry.left_out} | {
        offer.origin.distribution for offers in registry.offers.values() for offer in offers.values()
    }
    for name in registry.unknown:
        yield f"MAMLZOO_PLUGINS names '{name}', which offers no plugin here; {did_you_mean(name, known)}"
