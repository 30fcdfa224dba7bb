"""Which files of a folder, or groups of one file, are to train, to validate and to test on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar, get_args

from mamlzoo import Split, UsageError

SPLITS: tuple[Split, ...] = get_args(Split)
ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".feather", ".arrow")
"""How the names of files end that hold tables."""
T = TypeVar("T")


class Division(NamedTuple):
    """How data sets are divided at random.

    Attributes:
        valid, test: fractions to validate and to test on, one data set at least.
        seed: which division.
    """

    valid: float
    test: float
    seed: int

    def of(self, several: Sequence[T], what: str) -> dict[Split, list[T]]:
        """Files or groups in three.

        Raises:
            UsageError: none is left to train on.
        """
        valid, test = (max(1, round(share * len(several))) for share in (self.valid, self.test))
        if valid + test >= len(several):
            raise UsageError(
                f"{counted(valid, what)} to validate and {test} to test leave none of {len(several)} to train; lower "
                "valid or test"
            )
        shuffled = self.shuffled(several)
        return {
            "train": shuffled[valid + test :],
            "valid": shuffled[:valid],
            "test": shuffled[valid : valid + test],
        }

    def shuffled(self, several: Sequence[T]) -> list[T]:
        """In an order that the seed says."""
        return random.Random(self.seed).sample(several, len(several))


def files_of(folder: Path, division: Division) -> dict[Split, list[Path]]:
    """The files of each split, none of which is another's by a link: by folders of these names, or at random.

    Raises:
        UsageError: there is no such folder, or too few files.
    """
    split_of: dict[Path, tuple[Split, Path]] = {}
    found = _files(folder, division)
    for split, files in found.items():
        for file in files:
            other, first = split_of.setdefault(file.resolve(), (split, file))
            if other != split:
                raise UsageError(f"{first} ({other}) and {file} ({split}) are the same file; leave one of them out")
    return found


def _files(folder: Path, division: Division) -> dict[Split, list[Path]]:
    if not folder.is_dir():
        raise UsageError(f"folder {folder} is not there")
    files, by_folder = _tables(folder), {split: folder / split for split in SPLITS}
    there = [split for split in SPLITS if by_folder[split].is_dir()]
    if not there:
        return _divided(folder, files, division)
    if len(there) < len(SPLITS):
        missing = " and ".join(split for split in SPLITS if split not in there)
        raise UsageError(f"{folder} has a folder {' and '.join(there)}, and none called {missing}")
    if files:
        raise UsageError(f"{files[0]} lies beside the folders train, valid and test; put it into one")
    found = {split: division.shuffled(_tables(inside)) for split, inside in by_folder.items()}
    for split, several in found.items():
        if not several:
            raise UsageError(f"there is no file *.csv in {by_folder[split]}")
    return found


def _divided(folder: Path, files: list[Path], division: Division) -> dict[Split, list[Path]]:
    if len(files) < len(SPLITS):
        inside = [inner for inner in sorted(folder.iterdir()) if inner.is_dir() and _tables(inner)]
        hint = f"; there are some in {inside[0]}, into which it does not look" if inside else ""
        if not inside and files:
            hint = f"; of one file with a column that says whose a row is: --task.folder {files[0]} --task.group COLUMN"
        raise UsageError(
            f"{counted(len(files), 'file')} *.csv in {folder}; it takes 3 at least, to train, to validate and to "
            f"test{hint}"
        )
    return division.of(files, "file")


def counted(count: int, what: str) -> str:
    """So many of something, as in '1 file' and '2 files'."""
    return f"{count} {what}" + "s" * (count != 1)


def _tables(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("[!.]*") if file.name.lower().endswith(ENDINGS) and file.is_file())
