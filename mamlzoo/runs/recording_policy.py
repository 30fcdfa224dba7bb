"""How a run is written down, and when it stops."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.experiments.events import Listener
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.watchers import Part

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class StoppedError(MamlzooError):
    """A run was asked to stop, and did so where it can go on."""

    exit_code = 130
    headline = ""

    def __init__(self, again: str) -> None:
        """Stop.

        Args:
            again: the command that goes on.
        """
        super().__init__(f"stopped; to go on: {again}")


class LoggerError(UsageError):
    """A logger that was asked for cannot log."""


class DiskError(MamlzooError):
    """The disk refused; what was written before is whole."""


@dataclass(frozen=True)
class Interval:
    """How often a checkpoint is written: every so many meta-steps, or every so many seconds of wall clock."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> Interval:
        """`200` meta-steps; `30s`, `5m`, `1h`.

        Raises:
            UsageError: it is neither.
        """
        match = re.fullmatch(r"([0-9]+)|([0-9]+(?:\.[0-9]+)?)([smh])", text.strip())
        if match and match[1] and int(match[1]):
            return cls(steps=int(match[1]))
        if match and match[2] and float(match[2]):
            return cls(seconds=float(match[2]) * UNITS[match[3]])
        raise UsageError(f"checkpoints every '{text}': it must be meta-steps, as 200, or a time, as 30s, 5m or 1h")


@dataclass(frozen=True)
class RecordingPolicy:
    """How a run is recorded.

    Attributes:
        every: how often a checkpoint is written.
        progress: called with every event.
        stop: asked after every event whether to write a checkpoint and stop.
        loggers: names of loggers, which are told what happens.
        begins: called with each of several runs when it begins.
        says: called with a line for a person.
        spreads: called with several runs that go on at the same time; with none when all are over.
        ends: called with one of these when it is over.
        draw: gives the figures of what is written down, by name, as PNG.
    """

    every: Interval = Interval(seconds=30.0)
    progress: Listener = field(default=lambda experiment, event: None)
    stop: Callable[[], bool] = field(default=lambda: False)
    loggers: Sequence[str] = ()
    begins: Callable[[Part], None] = field(default=lambda part: None)
    says: Callable[[str], None] = field(default=lambda text: None)
    draw: run_directory.Draw = run_directory.undrawn
    spreads: Callable[[Sequence[Part]], None] = field(default=lambda parts: None)
    ends: Callable[[Part], None] = field(default=lambda part: None)


DEFAULT = RecordingPolicy()
