"""`mamlzoo data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlzoo.cli import console
from mamlzoo.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from mamlzoo.contracts.datasets import Dataset


@click.group("data")
def command() -> None:
    """Add published data sets, of which some tasks are made.

    They are kept in the folder that `MAMLZOO_DATA` names, or in mamlzoo's of the user's data; to remove one, remove its
    folder there.
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_command(as_json: bool) -> None:
    """Show the data sets that installed tasks are made of, their licences, and where they are."""
    from mamlzoo.tables import Table

    known = sorted(_datasets().values(), key=lambda dataset: dataset.name)
    where = {dataset.name: dataset.place if dataset.place.is_dir() else None for dataset in known}
    if as_json:
        several = [
            {
                "name": dataset.name,
                "summary": dataset.summary,
                "licence": dataset.licence,
                "archives": [vars(archive) | {"name": archive.name} for archive in dataset.archives],
                "folder": None if where[dataset.name] is None else str(where[dataset.name]),
            }
            for dataset in known
        ]
        console.print_json({"datasets": several})
        return
    rows = [(one.name, one.summary, one.licence, str(where[one.name] or "not added yet")) for one in known]
    console.print_table(Table("data sets", ("name", "what it is", "licence", "where"), rows, left=(0, 1, 2, 3)))


@command.command("add")
@click.argument("name")
@click.argument("source", metavar="FOLDER", type=click.Path(path_type=Path))
def add_command(name: str, source: Path) -> None:
    """Add the data set NAME from a FOLDER that has the archives which it is published as."""
    from mamlzoo.datasets.adding import add

    console.say_where(add(_dataset(name), source))


@command.command("download")
@click.argument("name")
def download_command(name: str) -> None:
    """Add the data set NAME from where it is published."""
    from mamlzoo.datasets.download import download

    console.say_where(download(_dataset(name)))


def _datasets() -> dict[str, Dataset]:
    """Those of all installed tasks, by name."""
    from mamlzoo.discovery.entry_points import installed

    tasks = [offer.cls for offer in installed().offers["task"].values()]
    found = [dataset for task in tasks if (dataset := getattr(task, "dataset", None)) is not None]
    return {dataset.name: dataset for dataset in found}


def _dataset(name: str) -> Dataset:
    """By its name.

    Raises:
        UsageError: no task is made of one that is called so.
    """
    known = _datasets()
    if name not in known:
        raise UsageError(f"no installed task is made of a data set called '{name}'; {did_you_mean(name, known)}")
    return known[name]
