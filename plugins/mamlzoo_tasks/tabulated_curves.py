"""What tasks have in common whose curves are rows of one table, all at the same inputs."""

from __future__ import annotations

import functools
import hashlib
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import torch

from mamlzoo import Episode, GroupEpisodes, Spec, Split, UsageError, option
from mamlzoo_tasks.regression import RegressionTask


class TabulatedCurves(RegressionTask):
    """A curve from a few of its points: an episode is a curve, and whole curves are held out.

    A training episode is judged on `queries` other points, a test on all the others. In valid and test each curve is
    one episode, with points drawn once by the run's test-seed, so that intervals are over curves.

    Attributes:
        points: how many points each curve has.
        points_are: what they are called, as "years".
    """

    points: ClassVar[int]
    points_are: ClassVar[str]
    shots: int = option(5, "points of a curve to adapt on", minimum=1)
    queries: int = option(20, "other points that a training episode is judged on", minimum=1)
    valid: float = option(0.2, "fraction of the curves to validate on, one at least", minimum=0, maximum=1)
    test: float = option(0.2, "fraction of the curves to test on, one at least", minimum=0, maximum=1)
    split_seed: int = option(0, "which division of the curves", minimum=0)

    @abstractmethod
    def _file(self) -> Path:
        """Where the table is.

        Raises:
            MissingDataError: it is not there.
        """

    @abstractmethod
    def _read(self, file: Path) -> GroupEpisodes:
        """All curves of the table, each a group of `points` rows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shots + self.queries > self.points:
            raise UsageError(
                f"task '{self.name}': shots + queries must be at most the {self.points} {self.points_are} that there "
                f"are, not {self.shots} + {self.queries}"
            )

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
        return hashlib.sha256(self._file().read_bytes()).hexdigest()

    @functools.cached_property
    def _parts(self) -> dict[Split, GroupEpisodes]:
        curves = self._read(self._file())
        try:
            return curves.split(valid=self.valid, test=self.test, seed=self.split_seed)
        except UsageError as error:
            raise UsageError(f"task '{self.name}': {error}") from None
