"""`mamlzoo zoo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mamlzoo.cli import console
from mamlzoo.tables import Table, number

if TYPE_CHECKING:
    from mamlzoo.runs.trained import Entry


@click.command("zoo")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, with the command that made each.")
def command(as_json: bool) -> None:
    """List the trained θ that come with mamlzoo, and with other packages.

    Their names stand wherever a run directory may: `mamlzoo adapt maml-sine`, `mamlzoo run --init-from maml-sine`,
    `mamlzoo plot adaptation maml-sine`, `mamlzoo.load("maml-sine")`. Of a name that is also a path here the path is
    meant; `zoo:maml-sine` is the zoo's in any case.
    """
    from mamlzoo.runs import trained

    entries, unreadable = trained.entries()
    if as_json:
        console.print_json({"trained": [_document(entry) for entry in entries], "failures": unreadable})
        return
    columns = ("name", "task", "model", "algorithm", "test metric", "after steps", "kB", "SHA-256", "from")
    notes = [
        *([f"test metric: mean and 95% interval over the test tasks of {_whose(entries)}"] if entries else []),
        *unreadable,
    ]
    console.print_table(Table("trained θ", columns, list(map(_row, entries)), notes, left=(0, 1, 2, 3, 7, 8)))


def _whose(entries: list[Entry]) -> str:
    several = any(len(entry.packed.result.seeds) > 1 for entry in entries)
    return "one seed, over seeds where there are several" if several else "one seed"


def _row(entry: Entry) -> tuple[str, ...]:
    result, packed = entry.packed.result, entry.packed
    tested = result.evaluation
    return (
        entry.name,
        *(result.config[kind]["name"] for kind in ("task", "model", "algorithm")),
        f"{tested.metric} {number(tested.mean[-1])} ± {number(tested.ci95[-1], 2)}",
        str(tested.steps[-1]),
        f"{packed.size / 1000:,.0f}",
        packed.sha256[:12],
        entry.origin.release,
    )


def _document(entry: Entry) -> dict[str, Any]:
    from mamlzoo.errors import MamlzooError
    from mamlzoo.files import json_document
    from mamlzoo.runs.commands import command_of

    result = entry.packed.result
    try:
        made_by = command_of(result.config)
    except MamlzooError:  # by code that is not here
        made_by = None
    kept = ("metric", "higher_is_better", "steps", "mean", "ci95", "ci95_over", "test_tasks")
    evaluation = result.document()["evaluation"]
    return json_document(
        {
            "name": entry.name,
            **{kind: result.config[kind]["name"] for kind in ("task", "model", "algorithm")},
            "seeds": result.seeds,
            "evaluation": {name: evaluation[name] for name in kept},
            "bytes": entry.packed.size,
            "sha256": entry.packed.sha256,
            "distribution": entry.origin.distribution,
            "version": entry.origin.version,
            "command": made_by,
        }
    )
