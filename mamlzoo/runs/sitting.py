"""One sitting of a run: what happens goes to its directory, until it ends or stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mamlzoo import files
from mamlzoo.engine.plan_choice import Choice
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.experiments.events import Event
from mamlzoo.experiments.result import Result
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.commands import resume_command
from mamlzoo.runs.loggers import Loggers
from mamlzoo.runs.recording_policy import DiskError, RecordingPolicy
from mamlzoo.runs.standing import Standing


class Sitting:
    """One sitting of a run: what happens goes to its directory.

    Attributes:
        in_training: whether what comes next belongs to meta-steps that are not written yet: no place to stop.
    """

    def __init__(self, run: Standing, policy: RecordingPolicy) -> None:
        self._experiment, self._config, self._directory, self._start = run
        self._policy = policy
        self._loggers = Loggers(policy.loggers, run.experiment, run.directory)
        self._tell: Callable[[Event], None] = lambda event: None
        self._written: tuple[int, int, Choice] | None = None
        self._when = time.monotonic()
        self._lines: list[str] = []
        self.in_training = False

    @contextmanager
    def open(self) -> Iterator[None]:
        """Loggers hear of its start and of its end, and what the disk refuses is said in one line."""
        start = self._start
        with self._loggers.told(start.training.step if start else 0) as self._tell:
            with _disk(self._directory):
                self._begin_metrics(start)
            yield

    def keep(self, event: Event, *, writes: bool, stops: bool) -> None:
        """Write down what happened.

        Args:
            writes: whether a checkpoint is.
            stops: whether this is where to stop, where that is possible.
        """
        with _disk(self._directory):
            if isinstance(event, TrainingRecord | ValidationRecord):
                self._lines.append(run_directory.metrics_line(event))
            elif isinstance(event, Checkpoint):  # which follows soon
                with (self._directory / "metrics.jsonl").open("a", encoding="utf-8") as file:
                    file.write("".join(self._lines))
                self._lines.clear()
                if writes:
                    run_directory.write_checkpoint(self._directory, event, self._config)
                    self._written, self._when = _key(event), time.monotonic()
        if isinstance(event, Checkpoint):
            # The records and validations that follow belong to meta-steps that are not written yet.
            self.in_training = not stops and not self._experiment.is_trained(event)
        self._tell(event)

    def finish(self, result: Result) -> Result:
        """Write what a finished run has."""
        with _disk(self._directory):
            result = run_directory.finish(result, self._directory, self._directory, self._policy.draw)
        self._loggers.end(result=result)
        return result

    def _begin_metrics(self, start: Checkpoint | None) -> None:
        """As the checkpoint has them: lines after it will come again."""
        records = [] if start is None else start.records
        files.write_text(self._directory / "metrics.jsonl", "".join(map(run_directory.metrics_line, records)))

    def is_due(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint is to be written down."""
        step, every = checkpoint.training.step, self._policy.every
        if self._written == _key(checkpoint):
            return False
        if self._written is None or step == 0 or self._experiment.is_trained(checkpoint):
            return True
        if every.steps is not None:
            return step % every.steps == 0
        return every.seconds is not None and time.monotonic() - self._when >= every.seconds


def _key(checkpoint: Checkpoint) -> tuple[int, int, Choice]:
    """What tells a checkpoint from another one of the same sitting."""
    return checkpoint.training.step, len(checkpoint.validation), checkpoint.plan


@contextmanager
def _disk(directory: Path) -> Iterator[None]:
    """Say in one line what the disk refused."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"{directory} could not be written: {error.strerror or error}; what was written before is whole, and "
            f"`{resume_command(directory)}` goes on from there"
        ) from error
