"""The tables of a folder, or the groups of one file, divided into those to train, to validate and to test on."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mamlzoo import Split, UsageError
from mamlzoo_tasks import csv_data_sets
from mamlzoo_tasks.csv_columns import Columns, Encoding, Missing
from mamlzoo_tasks.csv_data_sets import DataSet, Found, Key, Source
from mamlzoo_tasks.csv_splits import SPLITS, Division, counted, files_of


@dataclass(frozen=True)
class SplitTables:
    """Where data sets lie, which columns of them are used, and how they are divided; read when it is first needed.

    Attributes:
        folder: of files, each a data set; or the one file whose groups are.
    """

    folder: Path
    columns: Columns
    missing: Missing
    encoding: Encoding
    division: Division

    @property
    def what(self) -> str:
        """What a data set is."""
        return "group" if self.columns.group else "file"

    @functools.cached_property
    def split(self) -> dict[Split, list[Key]]:
        """The data sets of each split, in an order that the division says.

        Raises:
            UsageError: there are too few, or the files cannot be read.
        """
        if not self.columns.group:
            if self.folder.is_file():
                raise UsageError(
                    f"{self.folder} is one file: say which of its columns tells whose a row is, as in --task.group "
                    "patient, or give the folder that it lies in, whose files are data sets"
                )
            return {split: list(files) for split, files in files_of(self.folder, self.division).items()}
        if self.folder.is_dir():
            raise UsageError(f"--task.group divides one file, and {self.folder} is a folder; give the file")
        groups = sorted(map(str, self._read([self.folder]).sets))
        if len(groups) < len(SPLITS):
            raise UsageError(
                f"{counted(len(groups), 'group')} in column '{self.columns.group}' of {self.folder}; it takes 3 at "
                "least, to train, to validate and to test"
            )
        return {split: list(names) for split, names in self.division.of(groups, "group").items()}

    @functools.cached_property
    def found(self) -> Found:
        """What the files hold.

        Raises:
            UsageError: they cannot be read, or hold something else than is wanted.
        """
        return self._read(self.files)

    @property
    def files(self) -> list[Path]:
        """All that is read."""
        if self.columns.group:
            return [self.folder]
        return [Path(key) for keys in self.split.values() for key in keys]

    @property
    def parts(self) -> dict[Split, list[DataSet]]:
        """The data sets of each split.

        Raises:
            UsageError: as `split` and `found`.
        """
        return {split: [self.found.sets[key] for key in keys] for split, keys in self.split.items()}

    def digest(self) -> str:
        """Of which data set is where in the split, and of what each file holds, wherever they lie.

        Raises:
            UsageError: as `split`.
        """
        digest = hashlib.sha256()
        for split, keys in self.split.items():
            for key in keys:
                named = key.relative_to(self.folder).as_posix() if isinstance(key, Path) else key
                content = _sha256(key) if isinstance(key, Path) else "group"
                digest.update(f"{split} {named!a} {content}\n".encode())
        if self.columns.group:
            digest.update(_sha256(self.folder).encode())
        return digest.hexdigest()

    def _read(self, files: Sequence[Path]) -> Found:
        return csv_data_sets.read(tuple(map(Source.of, files)), self.columns, self.missing, self.encoding)


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
