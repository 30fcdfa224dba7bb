"""Data sets from a user's files to where tasks find them: decoded whole, or not there."""

from __future__ import annotations

from pathlib import Path

from mamlzoo.contracts.datasets import Dataset
from mamlzoo.errors import UsageError
from mamlzoo.runs.directory import new_directory


def add(dataset: Dataset, source: Path) -> Path:
    """Decode a data set's archives, and give the folder where it is from then on.

    Args:
        source: a folder that has the archives, under their names; or the archive itself, where there is but one.

    Raises:
        UsageError: the data set is there already, an archive is not there, or is not what it must be.
    """
    check_absent(dataset)
    one = len(dataset.archives) == 1 and source.is_file()
    found = {archive.name: source if one else source / archive.name for archive in dataset.archives}
    missing = [name for name, path in found.items() if not path.is_file()]
    if missing:
        what = "is not there" if not source.exists() else "is no folder" if not source.is_dir() else ""
        raise UsageError(
            f"{source} {what}; give the folder that has {' and '.join(found)}"
            if what
            else f"{source} has no {' and no '.join(missing)}, of which the data set '{dataset.name}' is made"
        )
    with new_directory(dataset.place, kept=False) as temporary:
        dataset.decode(found, temporary)
    return dataset.place


def check_absent(dataset: Dataset) -> None:
    """Refuse to add what is there.

    Raises:
        UsageError: it is.
    """
    if dataset.place.exists():
        raise UsageError(
            f"the data set '{dataset.name}' is in {dataset.place} already; remove that folder to add it anew"
        )
