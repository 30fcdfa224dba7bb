"""Downloads that go on where they stopped, and are used only if they are what was published."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mamlzoo import files
from mamlzoo.contracts.datasets import Archive, Dataset
from mamlzoo.contracts.reading import reading
from mamlzoo.datasets.adding import add, check_absent
from mamlzoo.errors import MamlzooError

CHUNK = 2**16
"""Bytes that are asked for at once."""
PATIENCE = 30.0
"""Seconds without an answer after which a download is given up."""


def download(dataset: Dataset) -> Path:
    """Fetch a data set's archives, add it, and give the folder where it is from then on.

    Raises:
        UsageError: it is there already.
        MamlzooError: an archive could not be fetched, or is not what was published.
    """
    check_absent(dataset)
    folder = files.cache_directory() / "downloads" / dataset.name
    with files.named_in_refusal(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with files.locked(folder):
        for archive in dataset.archives:
            fetch(archive, folder / archive.name, dataset.name)
        place = add(dataset, folder)
    for archive in dataset.archives:
        (folder / archive.name).unlink(missing_ok=True)
    return place


def fetch(archive: Archive, path: Path, name: str) -> None:
    """Fetch a file, or what is missing of it.

    Args:
        path: what it is to be called; a part of it, from before, lies beside it.
        name: the data set's.

    Raises:
        MamlzooError: it could not be fetched, or is not what was published.
    """
    if path.is_file():
        return
    part = path.with_name(f"{path.name}.part")
    by_hand = f"or fetch {archive.url} by hand and give its folder to `mamlzoo data add {name}`"
    try:
        with part.open("ab") as file:
            if file.tell() < archive.size:
                _continue(archive, file)
    except (OSError, http.client.HTTPException) as error:  # of urllib's errors each is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise MamlzooError(
            f"{archive.url} could not be fetched: {reason}; the same command goes on with what is there, {by_hand}"
        ) from error
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if part.stat().st_size != archive.size or digest != archive.sha256:
        size = part.stat().st_size
        part.unlink()
        raise MamlzooError(
            f"{archive.url} gave {size:,} bytes with the SHA-256 {digest[:12]}…, and was published with "
            f"{archive.size:,} and {archive.sha256[:12]}…; it was thrown away. Try again, {by_hand}"
        )
    part.replace(path)


def _continue(archive: Archive, file: IO[bytes]) -> None:
    """Write behind a file's end what is missing of an archive, or all of it where a server knows no parts."""
    request = urllib.request.Request(archive.url, headers={"User-Agent": "mamlzoo"})
    if file.tell():
        request.add_header("Range", f"bytes={file.tell()}-")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        if answer.status != http.client.PARTIAL_CONTENT:
            file.seek(0)
            file.truncate()
        begun, promised = file.tell(), int(answer.headers.get("Content-Length", 0))
        chunks = -(-(archive.size - begun) // CHUNK)
        for data in reading(_chunks(answer), f"fetch {archive.name}", chunks):
            file.write(data)
            if file.tell() > archive.size:  # it is another file, however long
                return
    if file.tell() - begun < promised:
        raise ConnectionError("the connection ended early")


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while data := answer.read(CHUNK):
        yield data
