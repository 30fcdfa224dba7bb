"""Folders of images: which files are of which class, and which classes are in which split."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from mamlzoo import Split, UsageError, reading

SPLITS: tuple[Split, ...] = get_args(Split)
LEFT_BEHIND = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}
"""What systems leave in folders, beside hidden files: it is no one's data."""
ENDINGS = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"}
"""How the names of images end."""
NAMED = 4
"""At most so many of several files are named in a message."""


class ImageFolder(NamedTuple):
    """A folder of images, by class.

    Attributes:
        folder: where they lie.
        classes: of each class its files, both in order of their names.
        split: the classes of each split, where folders train, valid and test say so; None: any.
    """

    folder: Path
    classes: Mapping[str, Sequence[Path]]
    split: Mapping[Split, list[str]] | None

    @property
    def files(self) -> list[Path]:
        """All of them, those of a class together."""
        return [file for files in self.classes.values() for file in files]

    @property
    def labels(self) -> list[str]:
        """Of each file its class."""
        return [name for name, files in self.classes.items() for _ in files]


def image_folder(folder: Path) -> ImageFolder:
    """What a folder holds: a folder for each class, or folders train, valid and test that hold one for each class.

    Raises:
        UsageError: it is laid out otherwise, or holds something that is no class.
    """
    parts = {split: folder / split for split in SPLITS}
    there = [split for split, part in parts.items() if part.is_dir() and holds_folders(part)]
    if not there:
        return ImageFolder(folder, classes_in(folder), None)
    beside = [path for path in entries(folder) if path.name not in parts and (path.is_dir() or is_named_image(path))]
    missing = [split for split in SPLITS if split not in there]
    if beside:
        raise UsageError(f"{beside[0]} lies beside the {_folders(there)}, which hold the classes; put it into one")
    if missing:
        raise UsageError(
            f"{folder} has the {_folders(there)}, with a folder for each class in it, and none called "
            f"{' and '.join(missing)}"
        )
    found = {split: classes_in(part) for split, part in parts.items()}
    where: dict[str, Split] = {}
    for split, classes in found.items():
        for name in classes:
            if where.setdefault(name, split) != split:
                raise UsageError(
                    f"class '{name}' is in {parts[where[name]]} and in {parts[split]}; a test is on classes that no "
                    "training has seen, so each class belongs into one of them"
                )
    merged = {name: files for classes in found.values() for name, files in classes.items()}
    return ImageFolder(folder, merged, {split: list(classes) for split, classes in found.items()})


def classes_in(folder: Path) -> dict[str, list[Path]]:
    """The classes that a folder has a folder for, and the files of each, both in order of their names.

    Raises:
        UsageError: there are none, or images lie beside them.
    """
    inside = entries(folder)
    beside = [path for path in inside if is_named_image(path)]
    classes = {path.name: path for path in inside if path.is_dir()}
    if not classes:
        what = f"{beside[0]} is of no class" if beside else f"there is no folder in {folder}"
        raise UsageError(f"{what}; each class is a folder of its images in it, as {folder / 'cats' / 'first.png'}")
    if beside:
        raise UsageError(f"{beside[0]} lies beside the folders of the classes; put it into the one that it is of")
    return {name: images_in(path) for name, path in classes.items()}


def images_in(folder: Path) -> list[Path]:
    """The files of a folder of images, in order of their names. What is in them is not looked at.

    Raises:
        UsageError: there are none, or something else than files.
    """
    files = entries(folder)
    if not files:
        raise UsageError(f"there is no image in {folder}")
    for file in files:
        if file.is_dir():
            raise UsageError(f"{file} is a folder among images; the folder of a class holds its images alone")
        if not file.is_file():
            raise UsageError(f"{file} is {'a link that leads nowhere' if file.is_symlink() else 'no file'}")
    return files


def holds_folders(folder: Path) -> bool:
    """Whether there are folders in a folder."""
    return any(path.is_dir() for path in entries(folder))


def entries(folder: Path) -> list[Path]:
    """What is in a folder, in order of names, without hidden files and what systems leave there.

    Raises:
        UsageError: it is no folder, or cannot be read.
    """
    try:
        inside = sorted(folder.iterdir())
    except NotADirectoryError as error:
        raise UsageError(
            f"{folder} is a file, and a folder is wanted, with a folder of images for each class"
        ) from error
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be read: {error.strerror or error}") from error
    return [path for path in inside if not path.name.startswith(".") and path.name.lower() not in LEFT_BEHIND]


def check_different(found: ImageFolder) -> None:
    """Refuse a file that is there twice, under whatever names: a test must not see what was trained or adapted on.

    Raises:
        UsageError: there are such.
    """
    alike: dict[str, list[Path]] = {}
    for file, digest in zip(found.files, digests(found.files), strict=True):
        alike.setdefault(digest, []).append(file)
    several = [files for files in alike.values() if len(files) > 1]
    if several:
        first = several[0]
        named = ", ".join(str(file) for file in first[:NAMED])
        more = f" and {len(first) - NAMED} more" if len(first) > NAMED else ""
        others = f", and so are {len(several) - 1} others" if len(several) > 1 else ""
        raise UsageError(
            f"the same image is there {len(first)} times{others}: {named}{more}; it is of one class, and nothing is to "
            "be judged by what was learned from: leave all but one of them out"
        )


def digests(files: Sequence[Path]) -> Iterator[str]:
    """The SHA-256 of each file.

    Raises:
        UsageError: one cannot be read.
    """
    for file in reading(files, "look through images"):
        try:
            status = file.stat()
            yield _sha256(file, status.st_mtime_ns, status.st_size)
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error


@functools.cache
def _sha256(file: Path, modified: int, size: int) -> str:
    """Of each content that a file has had, computed once."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def is_named_image(path: Path) -> bool:
    """Whether a file is called as images are."""
    return path.suffix.lower() in ENDINGS and not path.is_dir()


def _folders(names: Iterable[str]) -> str:
    *first, last = names
    return f"folder{'s' * bool(first)} {', '.join(first)}{' and ' * bool(first)}{last}"
