"""Files that are whole or not there: written under a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from mamlzoo.errors import MamlzooError

LOCK = ".lock"


@contextlib.contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the name `path` once the block ends well; until then, and if it fails, the old one stays."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    flush_directory(path.parent)


def write_text(path: Path, text: str) -> None:
    """A whole text file."""
    with whole(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: Path, document: Any) -> None:
    """A whole JSON file; what JSON cannot hold is an error."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Nobody else writes the directory while this lasts; the lock goes with the process, however that ends.

    Raises:
        MamlzooError: another process, or another part of this one, is writing it.
    """
    lock = FileLock(directory / LOCK, is_singleton=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise MamlzooError(f"{directory} is being written by another process; wait for it or end it") from None
    try:
        yield
    finally:
        lock.release()


def flush_directory(directory: Path) -> None:
    """Make a new name durable, where directories can be flushed."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
