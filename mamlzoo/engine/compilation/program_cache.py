"""Where compiled programs are kept: each in a file with its digest, in a folder that nobody else may write.

A program is native code. So it is run only from a folder and a file that belong to this user and that nobody else may
write, and only if it is, bit for bit, what was put there under that name. While one is loaded and first called there is
a mark beside it, held by the process that tries it: a mark that nobody holds tells the next run of a crash.

    KEY.program      the digest of the key and of what follows, a line; then a zip archive
    KEY.….trying     a process loads it, or calls it for the first time
    KEY.failed       it ended a process, or gave other numbers, and was removed once; no more than once a day
    mamlzoo-…        what a process compiles or loads; gone when the process has ended
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from mamlzoo.files import cache_directory

try:
    import fcntl
except ImportError:  # no such locks there: nothing is marked, and nothing swept but what is old
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")
SUFFIX = ".program"
OLD = 3600.0
"""Seconds after which a folder that no process ever held, as one killed while it was made, is left over."""
DAY = 86400.0
"""Seconds after which a program that ended two processes is tried again: they may have been killed by somebody else."""
_HELD = "held"
_NEW, _OURS = ".mamlzoo-new-", "mamlzoo-"
"""How names begin of what is being made, and of what is held; whatever else lies in the cache is the user's."""


class CannotCompileError(Exception):
    """Why a graph could not be traced, compiled or run, in one line. Never a user's error: another plan goes on."""


class DamagedError(Exception):
    """Why a program of the cache was removed, in one line; it can be made again."""


def reason_of(error: BaseException) -> str:
    """An error of the compiler, or of what it was to compile, in one line."""
    text = str(error).strip() or type(error).__name__
    if "compiler" in text.lower() and ("not found" in text.lower() or "no working" in text.lower()):
        return "no C++ compiler was found"
    if "data-dependent" in text:
        return "it asks for a tensor's value"
    return text.splitlines()[0][:200]


class Place(NamedTuple):
    """The folder of programs, and why it is not the one that was meant, if so."""

    folder: Path
    alert: str | None


def place() -> Place:
    """The folder to keep programs in: the one that is meant if it is safe, else one of this process alone."""
    folder = cache_directory()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = folder.resolve()  # what is looked at is what is used, wherever a link may lead later
        why = _unsafe(folder)
    except OSError as error:
        why = f"the cache {folder} cannot be used ({error.strerror or error})"
    if why is None:
        return Place(folder, None)
    return Place(Path(_private().name), f"{why}; what is compiled is not kept")


@functools.cache
def _private() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="mamlzoo-")


def _unsafe(folder: Path) -> str | None:
    """Why programs in this folder are not to be trusted; it is no link."""
    if (why := _foreign(folder.stat())) is not None:
        return f"the cache {folder} {why}; chmod 700 would do" if why == OPEN else f"the cache {folder} {why}"
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return f"the cache {folder} lies in {parent}, which everybody may write"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the cache {folder} cannot be written"
    return None


OPEN = "may be written by others"


def _foreign(status: os.stat_result) -> str | None:
    """Who else has a say about a file or folder."""
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return "belongs to somebody else"
    return OPEN if os.name == "posix" and status.st_mode & 0o022 else None


def read(path: Path) -> bytes | None:
    """The program that was written there; None if there is none.

    Raises:
        DamagedError: it is not what was written, others could have written it, or it crashed; it is removed.
        CannotCompileError: it cannot be read, or crashed again after it was made anew.
    """
    _settle_crashes(path)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            why = "is no file" if not stat.S_ISREG(status.st_mode) else _foreign(status)
            data = b"" if why else file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotCompileError(f"{path} cannot be read: {error.strerror or error}") from error
    digest, content = data[:65], data[65:]
    if why is None and digest != _digest(path, content):
        why = "is damaged"
    if why is not None:
        _remove(path)
        raise DamagedError(f"the program {path} {why}")
    return content


def loaded(path: Path, opened: Callable[[bytes, Path], T]) -> T | None:
    """The program that was written there, ready to be called; None if there is none.

    Args:
        opened: loads it, by what was written and a folder that is gone afterwards.

    Raises:
        DamagedError: it is not what was written, or has crashed; it is removed and can be made again.
        CannotCompileError: it cannot be loaded.
    """
    content = read(path)
    if content is None:
        return None
    try:
        with trying(path), own_folder(path.parent) as folder:
            return opened(content, folder)
    except Exception as error:  # a full disk, a library that is not there, another version of torch
        raise CannotCompileError(f"the program cannot be loaded: {reason_of(error)}") from error


def write(path: Path, content: bytes, folder: Path) -> None:
    """Put a program into the cache, whole or not at all.

    Args:
        folder: of this process alone, on the same disk.
    """
    new = folder / "program"
    new.touch(mode=0o600)
    new.write_bytes(_digest(path, content) + content)
    new.replace(path)


def _digest(path: Path, content: bytes) -> bytes:
    state = hashlib.sha256(path.stem.encode() + b"\n")
    state.update(content)
    return state.hexdigest().encode() + b"\n"


@contextlib.contextmanager
def own_folder(cache: Path) -> Iterator[Path]:
    """A folder in the cache for as long as this lasts; one that a killed process left is removed by a later one."""
    _sweep(cache)
    made = Path(tempfile.mkdtemp(prefix=_NEW, dir=cache))
    try:
        with _held(made / _HELD):
            made = made.rename(cache / made.name.replace(_NEW, _OURS))
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sweep(cache: Path) -> None:
    """Remove what processes left that were killed."""
    for left in [*cache.glob(f"{_OURS}*"), *cache.glob(f"{_NEW}*")]:
        with contextlib.suppress(OSError):
            if _is_free(left / _HELD) if (left / _HELD).exists() else time.time() - left.stat().st_mtime > OLD:
                _remove(left)


@contextlib.contextmanager
def trying(path: Path) -> Iterator[None]:
    """Meanwhile a program is loaded, or called for the first time: the next run is told if it ends this process.

    Raises:
        OSError: no mark can be made.
    """
    token = secrets.token_hex(8)
    new, mark = path.with_name(f"{_NEW}{token}"), path.with_name(f"{path.stem}.{token}.trying")
    with _held(new):
        new.rename(mark)  # what bears this name is held from its beginning
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)


def _settle_crashes(path: Path) -> None:
    dead = [mark for mark in path.parent.glob(f"{path.stem}.*.trying") if _is_free(mark)]
    if not dead:
        return
    if _has_failed(path):
        files = path.with_suffix("")
        raise CannotCompileError(
            f"two processes that tried its program crashed or were killed (delete {files}.* to have it made again)"
        )
    _note_failure(path)
    for left in (*dead, path):
        _remove(left)
    raise DamagedError(f"the program {path} ended the process that tried it")


def distrust(path: Path) -> bool:
    """A program is wrong: remove it, so that it is made again, unless that was done before. Whether it was removed."""
    again = _has_failed(path)
    if not again:
        _note_failure(path)
        _remove(path)
    return not again


def trust(path: Path) -> None:
    """A program was tried and is right."""
    with contextlib.suppress(OSError):
        _failed(path).unlink(missing_ok=True)


def _failed(path: Path) -> Path:
    return path.with_suffix(".failed")


def _has_failed(path: Path) -> bool:
    try:
        return time.time() - _failed(path).stat().st_mtime < DAY
    except OSError:
        return False


def _note_failure(path: Path) -> None:
    with contextlib.suppress(OSError):  # a full disk
        _failed(path).touch()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """A new file that is locked while this lasts; the lock goes with the process, however that ends."""
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: as if it were held for ever
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _is_free(path: Path) -> bool:
    """Whether the process that held this file is gone."""
    if fcntl is None:
        return False
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(path.stat(), os.fstat(handle))  # not one that was just given up
    except OSError:
        return False
    finally:
        os.close(handle)
