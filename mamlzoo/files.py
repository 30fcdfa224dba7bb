"""Files that are whole or not there: written under a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from mamlzoo.errors import MamlzooError

LOCK = ".lock"
SUMS = "SHA256SUMS"


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
        file.write(
            text.encode("utf-8", "backslashreplace")
        )  # a path need not be Unicode; in JSON that is the same text


def write_json(path: Path, document: Any) -> None:
    """A whole JSON file; what JSON cannot hold is an error."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_sums(directory: Path, names: Sequence[str]) -> None:
    """SHA256SUMS of these files, as `sha256sum` writes it and `sha256sum -c SHA256SUMS` checks it."""
    write_text(directory / SUMS, "".join(f"{_sha256(directory / name)}  {name}\n" for name in names))


def check_sums(directory: Path) -> None:
    """Compare the files of a directory with its SHA256SUMS.

    Raises:
        MamlzooError: one is not as it was written; it is named.
    """
    try:
        lines = (directory / SUMS).read_text(encoding="utf-8").splitlines()
        sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        changed = [name for name, digest in sums.items() if _sha256(directory / name) != digest]
    except (OSError, ValueError) as error:
        raise MamlzooError(f"{directory} is damaged: {error}") from error
    if changed or not sums:
        raise MamlzooError(f"{directory / (changed[0] if changed else SUMS)} is damaged: it is not what was written")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Nobody else writes the directory while this lasts; the lock goes with the process, however that ends.

    Raises:
        MamlzooError: another process, or another part of this one, is writing it; or it cannot be written.
    """
    lock = FileLock(directory / LOCK, is_singleton=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise MamlzooError(f"{directory} is being written by another process; wait for it or end it") from None
    except OSError as error:
        raise MamlzooError(f"{directory} cannot be locked for writing: {error.strerror or error}") from error
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
