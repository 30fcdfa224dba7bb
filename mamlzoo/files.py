"""Files that are whole or not there: written under a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import math
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from mamlzoo.errors import MamlzooError, UsageError

LOCK = ".lock"
SUMS = "SHA256SUMS"
PART = re.compile(r"\..+\.[0-9a-f]{16}\.part", re.DOTALL)
"""What is called so while it is written, and never if that is finished."""
DEEPEST = 50
"""Levels of lists and dicts that a JSON file may have; what walks through it takes a call for each."""


@contextlib.contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the name `path` once the block ends well; until then, and if it fails, the old one stays.

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    temporary = temporary_name(path)
    try:
        # Made by `open` itself, which honours the umask; a name that is taken is an error.
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):  # a full disk names no file
            error.filename, error.filename2 = str(path), None
        raise
    flush_directory(path.parent)


@contextlib.contextmanager
def named_in_refusal(path: Path) -> Iterator[None]:
    """Say in one line that a place somebody named cannot be written.

    Raises:
        UsageError: so it is.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error


def temporary_name(path: Path) -> Path:
    """Beside `path`, a name that nobody else takes, and that `PART` knows if it is never renamed."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.part")


def read(path: Path, check: Callable[[os.stat_result], None] = lambda status: None) -> bytes:
    """A file's content. What is no file, as a pipe or a device, which may never end, is not read.

    Args:
        check: called with the status of the very file that is read.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    with open_regular(path) as file:
        check(os.fstat(file.fileno()))
        return file.read()


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file to read, as `read` does.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(handle, "rb")


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, or is nested too deep.
    """
    return parsed_json(read(path).decode("utf-8"))


def parsed_json(text: str) -> Any:
    """What a JSON text holds.

    Raises:
        ValueError: it is no JSON, or is nested too deep.
    """
    try:
        document = json.loads(text)
    except RecursionError:
        document = None
    if document is None or _is_deeper(document, DEEPEST):
        raise ValueError("it holds nothing, or is nested too deep")
    return document


def _is_deeper(document: Any, levels: int) -> bool:
    parts = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in parts)


def write_bytes(path: Path, data: bytes) -> None:
    """A whole file."""
    with whole(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """A whole text file."""
    with whole(path) as file:
        file.write(
            text.encode("utf-8", "backslashreplace")
        )  # a path need not be Unicode; in JSON that is the same text


def json_document(document: dict[str, Any]) -> dict[str, Any]:
    """The same document with null for every number that JSON cannot hold, and lists for tuples."""
    return {key: _json_value(value) for key, value in document.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return json_document(value)
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, document: Any) -> None:
    """A whole JSON file; what JSON cannot hold is an error."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_sums(directory: Path, names: Sequence[str]) -> None:
    """SHA256SUMS of these files, as `sha256sum` writes it and `sha256sum -c SHA256SUMS` checks it."""
    write_text(directory / SUMS, "".join(f"{_sha256(directory / name)}  {name}\n" for name in names))


def check_sums(directory: Path, names: Sequence[str]) -> None:
    """Compare the files of a directory with its SHA256SUMS, which must have a line for each of these.

    Raises:
        MamlzooError: one is not as it was written; it is named.
    """
    try:
        lines = read(directory / SUMS).decode("utf-8").splitlines()
        sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        if set(sums) != set(names):
            raise MamlzooError(f"{directory} is damaged: its {SUMS} must have a line for each of {', '.join(names)}")
        changed = [name for name in names if sums[name] != _sha256(directory / name)]
    except (OSError, ValueError) as error:
        raise MamlzooError(f"{directory} is damaged: {said(error)}") from error
    if changed:
        raise MamlzooError(f"{directory / changed[0]} is damaged: it is not what was written")


def said(error: Exception) -> str:
    """What an error of reading says, with the file's name and without a number of the operating system."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def in_one_line(text: str) -> str:
    """A path, or another text, as one line of a list; `of_one_line` gives it back.

    It is the text itself unless that has a line end, or begins as what is escaped does.

    >>> print(in_one_line("net.py"), in_one_line("a\\nb.py"))
    net.py \\a\\nb.py
    """
    if text.splitlines() == [text] and not text.startswith("\\"):
        return text
    return "\\" + text.encode("unicode_escape").decode("ascii")


def of_one_line(line: str) -> str:
    """The text that `in_one_line` made a line of.

    Raises:
        ValueError: it made no such line.
    """
    return line[1:].encode("ascii").decode("unicode_escape") if line.startswith("\\") else line


def _sha256(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Nobody else writes the directory while this lasts; the lock goes with the process, however that ends.

    What killed processes had not finished writing there is removed.

    Raises:
        MamlzooError: another process, or another part of this one, is writing it; or it cannot be written.
    """
    _check_lock(directory)
    lock = FileLock(directory / LOCK, is_singleton=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise MamlzooError(f"{directory} is being written by another process; wait for it or end it") from None
    except OSError as error:
        raise MamlzooError(f"{directory} cannot be locked for writing: {error.strerror or error}") from error
    try:
        remove_leftovers(directory)
        yield
    finally:
        lock.release()


def _check_lock(directory: Path) -> None:
    """Refuse a lock that is another file by another name: taking it would empty that one."""
    try:
        status = (directory / LOCK).lstat()
    except OSError:  # there is none yet; what else is wrong is said when it is taken
        return
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise MamlzooError(f"{directory / LOCK} is a link, or no file at all, and so no lock of mamlzoo's; remove it")


def remove_leftovers(directory: Path, *, folders_alone: bool = False) -> None:
    """Remove what killed processes had not finished writing in a directory.

    A folder is one of theirs if it has a lock that nobody holds; a file if nobody else writes the directory.
    """
    for path in directory.iterdir():
        if PART.fullmatch(path.name) and not path.is_symlink():
            with contextlib.suppress(OSError, MamlzooError):
                if (path / LOCK).is_file():
                    with locked(path):
                        shutil.rmtree(path)
                elif path.is_file() and not folders_alone:
                    path.unlink()


def data_directory() -> Path:
    """Where data sets are kept that a user added: `MAMLZOO_DATA`, or a folder of the user's data."""
    own = os.environ.get("MAMLZOO_DATA")
    shared = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Path(own) if own else shared / "mamlzoo"


def cache_directory() -> Path:
    """Where what can be made again is meant to be kept: `MAMLZOO_CACHE`, or a folder of the user's cache."""
    own = os.environ.get("MAMLZOO_CACHE")
    shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else shared / "mamlzoo"


def flush_directory(directory: Path) -> None:
    """Make a new name durable, where directories can be flushed."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
