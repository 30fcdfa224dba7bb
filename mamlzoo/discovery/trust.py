"""Which code of a user's own may be run for a run directory: what was run here, and what a person trusts by name.

A run directory names such code by its place and its SHA-256, and whoever wrote the directory chose both. So code is
executed for it only if it stands in a list in the user's config folder: a line an entry, the SHA-256 (`Code.sha256`),
two spaces, and the reference, as `/home/me/net.py:Net`, a line whatever it holds (`files.in_one_line`). What a run made
here uses is put there when the run is made.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from mamlzoo import files
from mamlzoo.discovery import source_code
from mamlzoo.discovery.source_code import Source
from mamlzoo.errors import UsageError

NAME = "trusted"


def path() -> Path:
    """Where the list is: `$XDG_CONFIG_HOME/mamlzoo/trusted`, else below `~/.config`.

    Raises:
        UsageError: there is no home.
    """
    shared = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    try:
        folder = shared if shared.is_absolute() else Path.home() / ".config"
    except RuntimeError as error:
        raise UsageError(f"there is no folder for the list of trusted code: {error}") from error
    return folder / "mamlzoo" / NAME


def places(source: Source) -> list[str]:
    """The references of trusted code that is this very one: its digest and its name, of a module its full name.

    Raises:
        UsageError: the list cannot be read, or somebody else may have written it.
    """
    return [known.reference for known in _listed() if _same(known, source)]


def add(sources: Iterable[Source]) -> None:
    """Put code into the list, each once.

    Raises:
        UsageError: the list cannot be written, or somebody else may write it.
    """
    wanted = list(dict.fromkeys(sources))
    new = [source for source in wanted if source not in _listed()] if wanted else []
    if not new:
        return
    where = path()
    text = "".join(f"{source.sha256}  {files.in_one_line(source.reference)}\n" for source in new)
    with files.named_in_refusal(where):
        where.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_private(where.parent.stat(), where.parent)
        handle = os.open(where, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "ab") as file:
            file.write(os.fsencode(text))


def _listed() -> list[Source]:
    where = path()
    try:
        folder = where.parent.stat()
        found = files.read(where, check=lambda status: _check_private(status, where))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {error.strerror or error}") from error
    _check_private(folder, where.parent)
    parted = (os.fsdecode(line).partition("  ") for line in found.split(b"\n"))
    return [source for sha256, _, written in parted for source in _entry(sha256, written)]


def _entry(sha256: str, written: str) -> list[Source]:
    """What a line of the list says, or nothing."""
    try:
        reference = files.of_one_line(written)
    except ValueError:
        return []
    return [Source(reference, sha256)] if reference else []


def _same(one: Source, other: Source) -> bool:
    return one.sha256 == other.sha256 and _called(one) == _called(other)


def _called(source: Source) -> str:
    """What of a reference does not change when its file is moved: the name in it; of a module all of it."""
    place, _, name = source.reference.rpartition(":")
    return name if source_code.is_file(place) else source.reference


def _check_private(status: os.stat_result, where: Path) -> None:
    """Refuse what another person can write, or has made."""
    if not hasattr(os, "getuid"):
        return
    if status.st_uid not in (os.getuid(), 0):
        raise UsageError(f"{where} belongs to another user, so nothing in it is trusted; remove it")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(f"{where} can be written by others, so nothing in it is trusted; chmod go-w {where}")
