"""Tell loggers, which plugins bring, what a run does. A logger that fails is told no more and costs no numbers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from mamlzoo.discovery import failures
from mamlzoo.discovery.entry_points import installed
from mamlzoo.errors import MamlzooError, in_short
from mamlzoo.experiments.events import Event
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.runs.recording_policy import LoggerError


class Loggers:
    """The loggers of one run."""

    def __init__(self, names: Sequence[str], experiment: Experiment, directory: Path) -> None:
        """Choose loggers by name.

        Raises:
            UsageError: there is no logger of a name.
        """
        self._loggers = {name: installed().logger(name) for name in names}
        self._run = {"experiment": experiment, "directory": directory}

    @contextmanager
    def told(self, step: int) -> Iterator[Callable[[Event], None]]:
        """Tell of the start, and of the end however it comes; what is given tells of an event in between.

        Raises:
            LoggerError: a logger says at the start that it cannot log.
        """
        for name in list(self._loggers):
            self._tell(name, "mamlzoo_run_started", refuses=True, step=step)
        try:
            yield self._progressed
        except BaseException as error:
            self.end(error=error)
            raise

    def end(self, **outcome: Any) -> None:
        """Tell of a result or an error."""
        for name in list(self._loggers):
            self._tell(name, "mamlzoo_run_ended", **({"result": None, "error": None} | outcome))
        self._loggers = {}  # a run ends once

    def _progressed(self, event: Event) -> None:
        for name in list(self._loggers):
            self._tell(name, "mamlzoo_run_progressed", event=event)

    def _tell(self, name: str, hook: str, *, refuses: bool = False, **what: Any) -> None:
        try:
            with redirect_stdout(sys.stderr):  # what it prints is no part of our output, which may be one JSON document
                getattr(self._loggers[name].hooks, hook)(**self._run, **what)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # be it SystemExit
            if refuses and isinstance(error, MamlzooError):
                raise LoggerError(str(error)) from error
            origin = self._loggers.pop(name).origin
            text = f"logger '{name}' of {origin.release} failed and is told no more: {in_short(error)}"
            file, line = failures.place(origin, error)
            warnings.warn_explicit(
                text, UserWarning, file or origin.module, line or 1
            )  # at the logger's line, not ours
