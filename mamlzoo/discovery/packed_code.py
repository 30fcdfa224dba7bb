"""Code of a user's own, with its siblings, as bytes: so it reaches a machine that does not have its file.

Nothing is executed here. Whoever unpacks it holds it to its SHA-256 when it is made a plugin (`serialisation.make`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mamlzoo import files
from mamlzoo.discovery import sibling_files, source_code
from mamlzoo.discovery.source_code import Source
from mamlzoo.errors import UsageError


class PackedCode(NamedTuple):
    """A file of a user's own and its siblings.

    Attributes:
        file: its name.
        name: of what it defines.
        contents: by path within its folder.
    """

    file: str
    name: str
    contents: Mapping[str, bytes]


def packed(source: Source) -> PackedCode | None:
    """The code that a file has; None of a module, which is to be installed wherever it runs.

    Raises:
        UsageError: the file is gone, or has changed.
    """
    place, _, name = source.reference.rpartition(":")
    if not source_code.is_file(place):
        return None
    path = Path(place)
    try:
        family = sibling_files.family(path, files.read(path))
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error.strerror or error}") from error
    if family.sha256 != source.sha256:
        raise UsageError(f"{place} has changed since it was executed here; begin again")
    contents = {part.path.relative_to(path.parent).as_posix(): part.source for part in family.parts.values()}
    return PackedCode(path.name, name, contents)


def is_at(source: Source) -> bool:
    """Whether this very code is at its place on this machine."""
    with contextlib.suppress(UsageError):
        return source_code.digest(source.reference.rpartition(":")[0]) == source.sha256
    return False


def unpacked(code: PackedCode, folder: Path) -> str:
    """Write the files into a folder of their own below this one; the reference to what is there.

    Raises:
        UsageError: a path leads elsewhere.
    """
    telling = sorted((name, hashlib.sha256(data).hexdigest()) for name, data in code.contents.items())
    own = folder / hashlib.sha256(repr(telling).encode()).hexdigest()[:16]
    for name, data in code.contents.items():
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise UsageError(f"code with a file at {name} is refused: it leads out of its folder")
        path = own / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return f"{own / code.file}:{code.name}"
