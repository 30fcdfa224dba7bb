"""How commands record runs: with bars, and stopping where one can go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from mamlzoo.cli import console
from mamlzoo.cli.progress import display
from mamlzoo.engine.plan_choice import Notice
from mamlzoo.errors import UsageError

if TYPE_CHECKING:
    from mamlzoo.experiments.events import Event
    from mamlzoo.experiments.experiment import Experiment
    from mamlzoo.runs.recording_policy import RecordingPolicy


@contextmanager
def recorded(
    again: Callable[[], str],
    checkpoint_every: str,
    loggers: Sequence[str] = (),
    quiet: bool = False,
    workers: int = 1,
) -> Iterator[RecordingPolicy]:
    """How commands record runs: with a progress bar, and stopping where one can go on.

    The first SIGINT or SIGTERM asks for a checkpoint and a stop; a second one stops at once, at the last checkpoint.

    Args:
        again: gives what goes on with what was stopped, once it has been.
        workers: that make it together.

    Raises:
        UsageError: there are others beside this process, among which it does not divide its work.
    """
    from mamlzoo.discovery.entry_points import installed
    from mamlzoo.figures.figure_files import drawn
    from mamlzoo.runs import processes
    from mamlzoo.runs.recording_policy import Interval, RecordingPolicy, StoppedError

    there = processes.number_of(1)
    if there != workers:
        raise UsageError(f"torchrun has started {there} workers, among which only `run` and `resume` divide their work")
    for logger in loggers:
        installed().logger(logger)
    interval = Interval.parse(checkpoint_every)
    with display(quiet) as watcher, _Stop(console.say if quiet else watcher.says).listening() as stop:

        def progress(experiment: Experiment, event: Event) -> None:
            stop.at_once = isinstance(event, Notice)
            watcher(experiment, event)

        try:
            yield RecordingPolicy(
                interval,
                progress,
                lambda: stop.asked is not None,
                loggers,
                watcher.begins,
                watcher.says,
                drawn,
                watcher.spreads,
                watcher.ends,
            )
        except (KeyboardInterrupt, StoppedError):
            stopped = StoppedError(again())
            stopped.exit_code = 128 + (stop.asked or signal.SIGINT)
            raise stopped from None


class _Stop:
    """Turns signals into a wish to stop.

    Attributes:
        asked: the signal that came, if one did.
        at_once: whether there is nothing to be written first, as while a plan is compiled.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.asked: int | None = None
        self.at_once = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked is not None, number
        if again or self.at_once:
            raise KeyboardInterrupt
        self._say("stopping at the next checkpoint; again to stop at once")

    @contextmanager
    def listening(self) -> Iterator[_Stop]:
        """Signals come here; elsewhere than in the main thread nothing can be heard."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
