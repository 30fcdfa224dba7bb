"""Omniglot's archives, and the one file that its images are decoded into."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

import mamlzoo
from mamlzoo import Archive, UsageError

SIDE, PUBLISHED_SIDE = 28, 105
"""Pixels of an image, here and as published."""
DRAWERS = 20
"""People of whom each drew every character once."""
PUBLISHED = "https://github.com/brendenlake/omniglot/raw/master/python/"
SETS = {"images_background": 964, "images_evaluation": 659}
"""The characters of each archive."""
MEMBER = re.compile(r"(?P<set>[^/]+)/(?P<alphabet>[^/]+)/(?P<character>character\d\d)/\d{4}_(?P<drawer>\d\d)\.png")
LARGEST = 2**16
"""Bytes that no image of these has."""
IMAGES, CHARACTERS = "images.bytes", "characters.json"


class Characters(NamedTuple):
    """What Omniglot holds.

    Attributes:
        images: [characters * 20, 1, 28, 28] of uint8, ink 255 on 0, a memory map; a character's lie together.
        names: of each character 'alphabet/characterNN', those of the background set first, each set in order.
    """

    images: Tensor
    names: list[str]


class OmniglotData(mamlzoo.Dataset):
    """Omniglot's images at 28 × 28.

    Reference: Lake, Salakhutdinov, Tenenbaum, "Human-level concept learning through probabilistic program induction",
    Science 350(6266), 2015. Sizes and digests of the archives are those that TensorFlow Datasets records.
    """

    name = "omniglot"
    summary = "1,623 handwritten characters of 50 alphabets, each drawn by 20 people"
    licence = "MIT, Brenden Lake 2015"
    archives = (
        Archive(
            f"{PUBLISHED}images_background.zip",
            9_464_212,
            "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
        ),
        Archive(
            f"{PUBLISHED}images_evaluation.zip",
            6_462_886,
            "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
        ),
    )

    def decode(self, archives: Mapping[str, Path], into: Path) -> None:
        names: list[str] = []
        with (into / IMAGES).open("wb") as file:
            for which, count in SETS.items():
                path = archives[f"{which}.zip"]
                with whole_archive(path), zipfile.ZipFile(path) as archive:
                    members = _members(path, archive, which, count)
                    names += [f"{alphabet}/{character}" for alphabet, character, drawer in members if drawer == 1]
                    for member in mamlzoo.reading(members.values(), f"decode {path.name}"):
                        file.write(small(_read(path, archive, member)))
        (into / CHARACTERS).write_text(json.dumps(names), encoding="utf-8")


def characters(folder: Path) -> Characters:
    """What was decoded into a folder.

    Raises:
        UsageError: it is not what was written there.
    """
    total = sum(SETS.values())
    size = total * DRAWERS * SIDE**2
    try:
        names = json.loads((folder / CHARACTERS).read_text(encoding="utf-8"))
        whole = len(names) == total and (folder / IMAGES).stat().st_size == size
    except (OSError, ValueError, TypeError):
        whole = False
    if not whole:
        raise UsageError(f"{folder} does not hold what was put there; remove it, and add the data set 'omniglot' anew")
    return Characters(
        torch.from_file(str(folder / IMAGES), size=size, dtype=torch.uint8).reshape(-1, 1, SIDE, SIDE), names
    )


@contextmanager
def whole_archive(path: Path) -> Iterator[None]:
    """Say in one line that an archive is none, or a damaged one.

    Raises:
        UsageError: so it is.
    """
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UsageError(f"{path} is no zip archive, or a damaged one ({error}); fetch it again") from error


def small(image: Image.Image) -> bytes:
    """An image at 28 × 28, ink 255 on 0, by Lanczos' filter as in MAML's code."""
    shrunk = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return shrunk.point(lambda shade: 255 - shade).tobytes()


def decoded(where: str, data: bytes) -> Image.Image:
    """An image of 105 × 105 from its PNG file.

    Raises:
        UsageError: it is none, or of another size.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        if image.size != (PUBLISHED_SIDE, PUBLISHED_SIDE):  # before anything is decoded
            size, published = (f"{width} × {height}" for width, height in (image.size, [PUBLISHED_SIDE] * 2))
            raise UsageError(f"{where} is {size} pixels, and Omniglot's are {published}")
        image.load()
    except UsageError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{where} is no image, or a damaged one; fetch the archive again") from error
    return image


def _members(
    path: Path, archive: zipfile.ZipFile, which: str, count: int
) -> dict[tuple[str, str, int], zipfile.ZipInfo]:
    """The images of an archive by alphabet, character and drawer, in this order.

    Nothing is unpacked, so a name that climbs out of the archive leads nowhere; it is refused all the same.

    Raises:
        UsageError: it holds something else, or not all of them.
    """
    found: dict[tuple[str, str, int], zipfile.ZipInfo] = {}
    for member in archive.infolist():
        if member.is_dir():
            continue
        match = MEMBER.fullmatch(member.filename)
        if match is None or match["set"] != which or not 1 <= int(match["drawer"]) <= DRAWERS:
            raise UsageError(f"{path} holds {member.filename!a}, which Omniglot's {which}.zip does not")
        found[match["alphabet"], match["character"], int(match["drawer"])] = member
    characters = {key[:2] for key in found}
    if len(characters) != count or len(found) != count * DRAWERS:
        raise UsageError(
            f"{path} holds {len(found):,} images of {len(characters):,} characters, and Omniglot's {which}.zip "
            f"{count * DRAWERS:,} of {count:,}; fetch it again"
        )
    return dict(sorted(found.items()))


def _read(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Image.Image:
    if member.file_size > LARGEST:
        raise UsageError(f"{path}: {member.filename} has {member.file_size:,} bytes, more than any of Omniglot's")
    return decoded(f"{path}: {member.filename}", archive.read(member))
