"""`mamlzoo list`."""

from __future__ import annotations

import click

from mamlzoo.cli import console
from mamlzoo.tables import Table


@click.command("list")
@click.argument("kind", required=False, type=click.Choice(["task", "model", "algorithm"]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(kind: str | None, as_json: bool) -> None:
    """Show the tasks, models, algorithms, recipes and loggers there are, and the plugins that failed."""
    from mamlzoo.registry import installed

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
        failures = [
            {
                **failure.origin._asdict(),
                "stage": failure.stage,
                "error": f"{type(failure.error).__name__}: {failure.error}",
            }
            for failure in registry.failures
        ]
        named = {what: [{"name": name} for name in names] for what, names in others.items()}
        console.print_json({**offers, **named, "failures": failures})
        return
    for shown in kinds:
        rows = [
            (name, offer.cls.summary(), f"{offer.origin.distribution} {offer.origin.version}")
            for name, offer in sorted(registry.offers[shown].items())
        ]
        console.print_table(Table(f"{shown}s", ("name", "what it is", "from"), rows, left=(0, 1, 2)))
    for what, names in others.items():
        console.out().print(f"{what}: {', '.join(names)}")
    if registry.failures:
        rows = [
            (
                f.origin.entry_point,
                f"{f.stage} {f.origin.module}: {type(f.error).__name__}: {f.error}",
                f"{f.origin.distribution} {f.origin.version}",
            )
            for f in registry.failures
        ]
        console.print_table(Table("failed plugins", ("entry point", "what went wrong", "from"), rows, left=(0, 1, 2)))
