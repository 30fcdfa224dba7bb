"""A process that makes a job: it goes on with runs, tells what happens, and stops when it is asked to.

Its stdin brings an `Order`, then perhaps a wish to stop, and ends with the process that wants the job made. Its stdout
takes messages alone: what plugins print goes to stderr, of which the last line says why a process ended that had no
other word.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from mamlzoo.contracts.plugins import Plugin
from mamlzoo.discovery import packed_code, serialisation
from mamlzoo.discovery.source_code import Source
from mamlzoo.engine.plan_choice import Alert
from mamlzoo.engine.training import TrainingState
from mamlzoo.errors import MamlzooError, PluginError, UsageError
from mamlzoo.executors import messages, run_files
from mamlzoo.executors.messages import Done, Failed, Heard, Message, Order, OrderedRun, Said, Stopped, Written
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.experiments.events import Event
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import recording, standing
from mamlzoo.runs.recording_policy import LoggerError, RecordingPolicy, StoppedError

KINDS = (LoggerError, UsageError, PluginError, MamlzooError)
"""What errors are told as, the first that fits: those of a stranger's are known nowhere else."""


def main(folder: str | None) -> None:
    """Make what stdin says.

    Args:
        folder: an empty one for runs whose directories are elsewhere; removed where nobody else is left to do it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is to stop it says so on stdin
    source, into = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    said = messages.received(source)
    order: Order = messages.unpacked(next(said))
    stop = threading.Event()
    threading.Thread(target=_listen, args=(said, stop, folder), daemon=True).start()
    _Making(order, folder, into, stop).run()


def _listen(said: Iterator[bytes], stop: threading.Event, folder: str | None) -> None:
    for _ in said:
        stop.set()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)  # nobody is left who wants it; what is written is whole


class _Making:
    """One order as it is made."""

    def __init__(self, order: Order, folder: str | None, into: IO[bytes], stop: threading.Event) -> None:
        self._order, self._folder, self._into, self._stop = order, folder, into, stop
        self._directories = [
            Path(run.directory) if run.files is None else Path(str(folder)) / str(at)
            for at, run in enumerate(order.runs)
        ]
        self._brought = [run_files.Snapshot(directory) for directory in self._directories]
        self._experiments: list[Experiment] = []

    def run(self) -> None:
        """Make it, and tell how it ended."""
        warnings.showwarning = lambda message, category, *where: self._say(f"{category.__name__}: {message}")
        try:
            self._make()
            self._bring()
            self._tell(Done())
        except StoppedError:
            self._bring()
            self._tell(Stopped())
        except MamlzooError as error:
            kind = next(kind for kind in KINDS if isinstance(error, kind))
            self._tell(Failed(kind, self._as_called(str(error))))

    def _make(self) -> None:
        order, directories = self._order, self._directories
        for run, directory, brought in zip(order.runs, directories, self._brought, strict=True):
            if run.files is not None:
                run_files.write(directory, run.files)
                brought.changed()  # is there already
        policy = RecordingPolicy(
            order.every, self._progress, self._stop.is_set, order.loggers, says=self._say, draw=order.draw
        )
        given = [self._given(run, directory) for run, directory in zip(order.runs, directories, strict=True)]
        pairs = list(zip(directories, given, strict=True))
        self._experiments = [standing.experiment_in(directory, plugins) for directory, plugins in pairs]
        if len(pairs) == 1:
            recording.resume(directories[0], policy, given[0])
        else:
            recording.side_by_side(list(zip(self._experiments, directories, strict=True)), policy)

    def _given(self, run: OrderedRun, directory: Path) -> dict[str, Plugin]:
        """Plugins that are code of a user's own; it is executed if it has the SHA-256 that the config says."""
        config, places = run_directory.read_config(directory), run.places.items()
        return {
            kind: serialisation.make(kind, config[kind], [self._place(place, config[kind])]) for kind, place in places
        }

    def _place(self, reference: str, saved: serialisation.Saved) -> str:
        """Where the code is: where whoever wants the run has it, with what lies beside it; else as it was sent."""
        code = self._order.code.get(reference)
        if code is None or packed_code.is_at(Source(reference, saved["source"]["sha256"])):
            return reference
        return packed_code.unpacked(code, Path(str(self._folder)) / "code")

    def _progress(self, experiment: Experiment, event: Event) -> None:
        if isinstance(event, Checkpoint):
            self._bring()
        if isinstance(event, Alert):
            event = Alert(self._as_called(event.text))
        self._tell(Heard(self._number(experiment), _light(event)))

    def _number(self, experiment: Experiment) -> int:
        """Which of the runs it is; a run goes on with as many threads as it began with, so it has become another."""
        threads = experiment.settings.threads
        for at, own in enumerate(self._experiments):
            same = all(one is other for one, other in zip(own.plugins, experiment.plugins, strict=True))
            if same and replace(own.settings, threads=threads) == experiment.settings:
                return at
        return 0

    def _bring(self) -> None:
        """Send what is new in directories that are elsewhere."""
        for at, (run, brought) in enumerate(zip(self._order.runs, self._brought, strict=True)):
            if run.files is not None and (new := brought.changed()):
                self._tell(Written(at, new))

    def _say(self, text: str) -> None:
        self._tell(Said(self._as_called(text)))

    def _as_called(self, text: str) -> str:
        """A text with directories as they are called where they belong."""
        for run, directory in zip(self._order.runs, self._directories, strict=True):
            text = text.replace(str(directory), run.directory)
        return text

    def _tell(self, message: Message) -> None:
        messages.send(self._into, messages.packed(message))


def _light(event: Event) -> Event:
    """An event without θ: who only watches has no use for it, and it may be large."""
    if not isinstance(event, Checkpoint):
        return event
    training = TrainingState(event.training.step, {}, diverged=dict(event.training.diverged))
    return replace(event, training=training, history=(), best=None)
