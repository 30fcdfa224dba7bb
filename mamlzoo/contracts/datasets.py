"""Data sets that somebody else publishes, and a user adds once: what they are made of, and where they are then."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mamlzoo import files
from mamlzoo.errors import MissingDataError


@dataclass(frozen=True)
class Archive:
    """One file that a data set is published as.

    Attributes:
        url: from where it can be downloaded.
        size: bytes.
        sha256: of its content, 64 hexadecimal digits.
    """

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's name, the last part of its address."""
        return self.url.rpartition("/")[2]


class Dataset(ABC):
    """A published data set that a task is made of; `mamlzoo data add NAME` puts it where the task finds it.

        class OmniglotData(mamlzoo.Dataset):
            name = "omniglot"
            ...

        class Omniglot(mamlzoo.ImageTask):
            dataset = OmniglotData()

    Attributes:
        name: what it is called on the command line, and its folder.
        summary: what it holds, in a line.
        licence: under which it may be used, and whose it is.
        archives: what it is published as.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    licence: ClassVar[str]
    archives: ClassVar[tuple[Archive, ...]]

    @abstractmethod
    def decode(self, archives: Mapping[str, Path], into: Path) -> None:
        """Write what tasks read into a new folder, which becomes `place` if this ends well.

        Args:
            archives: by name, where each lies; their content is what a user gave, and need not be what was published.

        Raises:
            UsageError: one line on what is wrong with an archive, which it names.
        """

    @property
    def place(self) -> Path:
        """The folder that it has, or would have."""
        return files.data_directory() / self.name

    @property
    def folder(self) -> Path:
        """The folder with what `decode` wrote.

        Raises:
            MissingDataError: it was not added yet.
        """
        if not self.place.is_dir():
            names = " and ".join(archive.name for archive in self.archives)
            raise MissingDataError(
                f"the data set '{self.name}' is not there: `mamlzoo data add {self.name} FOLDER` takes {names} from a "
                f"folder, `mamlzoo data download {self.name}` from where it is published"
            )
        return self.place
