"""Who watches what runs: nobody, a function of the user's, or a person, by a bar."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from mamlzoo.errors import UsageError
from mamlzoo.experiments.events import Event, Listener
from mamlzoo.experiments.experiment import Experiment

BAR = "mamlzoo.cli.progress"
"""The module that draws. It is named and not imported: the command line stands above all that may be watched."""
Counter = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


class Part(NamedTuple):
    """One of several runs, which begins.

    Attributes:
        noun: what each of them is: 'run', or 'cell' of a sweep.
        number: which it is, from 1.
        of: how many there are.
        name: what it is called.
        left: those still to be run, this one first; None for one that is not known yet.
        at_once: how many of these run side by side, as this one.
    """

    noun: str
    number: int
    of: int
    name: str
    left: Sequence[Experiment | None]
    at_once: int = 1


class Watcher:
    """Is told what happens; this one does nothing."""

    def __call__(self, experiment: Experiment, event: Event) -> None:
        """An event of a run."""

    def begins(self, part: Part) -> None:
        """One of several runs begins; each event that follows is of this one."""

    def spreads(self, parts: Sequence[Part]) -> None:
        """These begin in any order from here on, several at a time, each with one experiment left; none: all are over.

        Meanwhile `begins` is told of each, and an event is of the part that has its experiment.
        """

    def ends(self, part: Part) -> None:
        """One of those that go on at the same time is over."""

    def says(self, text: str) -> None:
        """A line for a person."""

    def counts(self, what: str, done: int, total: int | None) -> None:
        """So much of something else is done; None: nobody knows of how much."""


class _Told(Watcher):
    """Tells a function of the user's."""

    def __init__(self, function: Listener) -> None:
        self._function = function

    def __call__(self, experiment: Experiment, event: Event) -> None:
        self._function(experiment, event)


@contextmanager
def watched(progress: bool | Listener | None) -> Iterator[Watcher]:
    """The watcher that `progress` asks for, for as long as something runs.

    Args:
        progress: True for a bar and a line with the plan, in a terminal or a notebook; a function, which is called with
            the experiment and every event; False or None for nothing.

    Raises:
        UsageError: it is none of these.
    """
    if progress is None or progress is False:
        yield Watcher()
    elif progress is True:
        with importlib.import_module(BAR).display() as watcher:
            yield watcher
    elif isinstance(progress, Watcher):
        yield progress
    elif callable(progress):
        yield _Told(progress)
    else:
        raise _refused(progress, "the experiment and every event")


@contextmanager
def counted(what: str, progress: bool | Counter | None) -> Iterator[Counter]:
    """What is called with how much is done, and of how much, for as long as something is counted.

    Args:
        progress: True for a bar; a function, which is called so; False or None for nothing.

    Raises:
        UsageError: it is none of these.
    """
    if callable(progress):
        yield progress
    elif progress is None or isinstance(progress, bool):
        with watched(progress) as watcher:
            watcher.counts(what, 0, None)
            yield lambda done, total: watcher.counts(what, done, total)
    else:
        raise _refused(progress, "how much is done, and of how much")


def _refused(progress: object, with_what: str) -> UsageError:
    return UsageError(f"progress is {progress!r}; it must be True for a bar, or a function, called with {with_what}")
