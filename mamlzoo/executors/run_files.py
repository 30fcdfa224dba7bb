"""A run directory's files as bytes: what goes to another machine, and what comes back as it is written there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mamlzoo import files
from mamlzoo.errors import MamlzooError
from mamlzoo.runs import checkpoint_file
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.recording_policy import DiskError

LAST = ("result.json", files.SUMS)
"""What says that a run is finished comes after all else, in this order."""


def read(directory: Path) -> dict[str, bytes]:
    """Every file, by its path within the directory."""
    return {name: files.read(directory / name) for name in _names(directory)}


def write(directory: Path, content: Mapping[str, bytes]) -> None:
    """Write files, in a directory that need not exist."""
    for name, data in content.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class Snapshot:
    """Which files a directory had when it was last looked at."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: dict[str, tuple[int, int, int]] = {}

    def changed(self) -> dict[str, bytes]:
        """The files that are new since then, by path; the previous checkpoint is none, which was the current one."""
        now = {}
        for name in _names(self._directory):
            status = (self._directory / name).stat()
            now[name] = status.st_ino, status.st_mtime_ns, status.st_size
        before, self._seen = self._seen, now
        new = [name for name in now if now[name] != before.get(name) and name != checkpoint_file.PREVIOUS]
        return {name: files.read(self._directory / name) for name in new}


def keep(directory: Path, new: Mapping[str, bytes]) -> None:
    """Take files that came from elsewhere into the run directory here.

    Raises:
        MamlzooError: they are not what was written there.
        DiskError: the disk refused.
    """
    try:
        for name in [name for name in new if name not in LAST]:
            if name == checkpoint_file.NAME:
                checkpoint_file.put(directory, new[name])
            else:
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                files.write_bytes(directory / name, new[name])
        if files.SUMS in new:
            _check(directory, new)
            files.write_bytes(directory / "result.json", _placed(new["result.json"], directory))
            files.write_sums(directory, run_directory.SUMMED)
    except OSError as error:
        raise DiskError(f"{directory} could not be written: {error.strerror or error}") from error


def _check(directory: Path, new: Mapping[str, bytes]) -> None:
    """Compare what is here now, and the result that came, with the sums of what was written there."""
    for line in new[files.SUMS].decode().splitlines():
        digest, _, name = line.partition("  ")
        data = new["result.json"] if name == "result.json" else files.read(directory / name)
        if hashlib.sha256(data).hexdigest() != digest:
            raise MamlzooError(f"{directory / name} is not what was written where the run was made")


def _placed(result: bytes, directory: Path) -> bytes:
    """A result's document, which says where it is."""
    document = json.loads(result) | {"run_dir": str(directory)}
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _names(directory: Path) -> list[str]:
    """Paths of the files that belong to a run; none that is hidden, as a lock or what is not finished."""
    found = [path.relative_to(directory) for path in directory.rglob("*") if path.is_file()]
    return sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))
