"""What an executor is: a way to make jobs in other processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from mamlzoo.executors.messages import Message
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.runs.watchers import Part


class Job(NamedTuple):
    """What one process makes: a run, or several that are trained side by side.

    Attributes:
        part: which of all runs it is, with the first of its experiments alone.
        runs: each experiment with its directory, new or of a run that is not finished.
    """

    part: Part
    runs: Sequence[tuple[Experiment, Path]]


class Started(ABC):
    """A process that makes a job."""

    @abstractmethod
    def stop(self) -> None:
        """Ask it to write a checkpoint and to end."""

    @abstractmethod
    def kill(self) -> None:
        """End it, whatever it is at, and wait until it has ended; nothing where it has."""


class Pool(ABC):
    """Where jobs are made, for as long as it is open.

    Attributes:
        slots: how many jobs at a time.
        threads: how many each job computes with, where its experiments leave that to the machine.
        is_elsewhere: whether other machines may make them, which do not see the directories and files of this one.
    """

    slots: int
    threads: int
    is_elsewhere: bool

    @abstractmethod
    def start(self, order: bytes, slot: int, tell: Callable[[Message], None]) -> Started:
        """Start a process.

        Args:
            order: a packed `Order`.
            slot: which of the pool's it takes, from 0.
            tell: is given its messages as they come, `Gone` at last, in another thread.
        """


class Executor(ABC):
    """A way to make jobs in other processes; no number depends on it."""

    @abstractmethod
    def opened(self, jobs: Sequence[Job]) -> AbstractContextManager[Pool]:
        """Somewhere for jobs to be made.

        Raises:
            UsageError: there is none.
        """
