"""Data that come with other packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from mamlzoo import MissingDataError, UsageError


def file_of(task: str, package: str, inside: str) -> Path:
    """Where a package keeps a file; nothing of it is imported, which would take seconds.

    Args:
        task: whose data it is; the extra of the same name installs the package.
        package: as it is imported.
        inside: the file's path in it, with slashes.

    Raises:
        MissingDataError: the package is not installed.
        UsageError: it no longer has the file.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise MissingDataError(
            f"task '{task}': the data come with {package}, which is not installed: pip install 'mamlzoo[{task}]'"
        )
    file = Path(found.origin).parent / inside
    if not file.is_file():
        raise UsageError(f"task '{task}': {package} has no file {file} any more; choose another version of it")
    return file
