"""Curves on points that all have in common, from a file that another package brings."""

from __future__ import annotations

import abc
import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import ClassVar

import torch

from mamlzoo import Episode, GroupEpisodes, MissingDataError, Spec, Split, UsageError, option, told_of
from mamlzoo_tasks.measured import MeasuredTask


class PackagedCurves(MeasuredTask):
    """An episode is one curve: `shots` of its points to adapt on, others to judge by; a test is judged on all others.

    Whole curves are held out: those to validate and to test on are divided from the others by `split-seed`, and each is
    one episode, with points drawn once by the run's test-seed.

    A task says where the file is, by `package` and `place`, how many `points` a curve has and what they are `called`,
    and reads them by `curves`. The package's name is that of the module, and of the requirement; the extra of mamlzoo
    that brings it has the task's name.
    """

    package: ClassVar[str]
    place: ClassVar[tuple[str, ...]]
    """Of the file in the package: folders and its name."""
    points: ClassVar[int]
    called: ClassVar[str]
    """What the points are, as 'years'."""

    shots: int = option(5, "points to adapt on", minimum=1)
    queries: int = option(20, "other points that a training episode is judged on", minimum=1)
    valid: float = option(0.2, "fraction of the curves to validate on, one at least", minimum=0, maximum=1)
    test: float = option(0.2, "fraction of the curves to test on, one at least", minimum=0, maximum=1)
    split_seed: int = option(0, "which division of the curves", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shots + self.queries > self.points:
            raise UsageError(
                f"task '{self.name}': shots + queries must be at most the {self.points} {self.called} that there are, "
                f"not {self.shots} + {self.queries}"
            )

    @classmethod
    @abc.abstractmethod
    def curves(cls, file: Path) -> GroupEpisodes:
        """The points of every curve, in groups of `points` rows."""

    @functools.cached_property
    def spec(self) -> Spec:
        counts = {split: len(part.names) for split, part in self._parts.items()}
        return Spec((1,), 1, valid_episodes=counts["valid"], test_episodes=counts["test"])

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        queries = self.queries if split == "train" else self.points - self.shots
        return self._parts[split].draw(
            count, shots=self.shots, queries=queries, generator=generator, in_turn=split != "train"
        )

    def data_digest(self) -> str:
        return hashlib.sha256(self.file().read_bytes()).hexdigest()

    @classmethod
    def file(cls) -> Path:
        """Where the package keeps the curves; nothing of it is imported, which would take seconds.

        Raises:
            MissingDataError: it is not installed.
            UsageError: it no longer has them.
        """
        found = importlib.util.find_spec(cls.package)
        if found is None or found.origin is None:
            raise MissingDataError(
                f"task '{cls.name}': the data come with {cls.package}, which is not installed: "
                f"pip install 'mamlzoo[{cls.name}]'"
            )
        file = Path(found.origin).parent.joinpath(*cls.place)
        if not file.is_file():
            raise UsageError(
                f"task '{cls.name}': {cls.package} has no file {file} any more; choose another version of it"
            )
        return file

    @functools.cached_property
    def _parts(self) -> dict[Split, GroupEpisodes]:
        curves = _read(type(self), self.file())
        with told_of(self.name):
            return curves.split(valid=self.valid, test=self.test, seed=self.split_seed)


@functools.cache
def _read(cls: type[PackagedCurves], file: Path) -> GroupEpisodes:
    """The curves of a task, read once a process."""
    return cls.curves(file)
