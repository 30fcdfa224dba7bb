"""What a module can hear of runs: one that has such a hook is a logger."""

from __future__ import annotations

from pathlib import Path

from mamlzoo.contracts.hooks import hookspec
from mamlzoo.experiments.events import Event
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import Result


class Listening:
    """What a module may listen to."""

    @hookspec
    def mamlzoo_run_started(self, experiment: Experiment, directory: Path, step: int) -> None:
        """A run that logs by this module begins, or goes on: it stands at meta-step `step`."""

    @hookspec
    def mamlzoo_run_progressed(self, experiment: Experiment, directory: Path, event: Event) -> None:
        """Something happened: a choice of plan, a record, a checkpoint, a step of the evaluation."""

    @hookspec
    def mamlzoo_run_ended(
        self, experiment: Experiment, directory: Path, result: Result | None, error: BaseException | None
    ) -> None:
        """It is over: with a result, or with what stopped it."""
