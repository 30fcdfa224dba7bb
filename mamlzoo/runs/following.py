"""A run as a worker makes it that is not the first: as the first one says, and without a word of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from mamlzoo.engine.workers import Workers
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.experiments.events import Event
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.seed_axis import division_of, whole
from mamlzoo.runs import execution
from mamlzoo.runs.recording_policy import StoppedError


class Beginning(NamedTuple):
    """What the first worker says before the run.

    Attributes:
        start: from where it goes on.
        pauses: where to pause.
        threads: of each worker.
        ended: whether there is nothing to be done.
    """

    start: Checkpoint | None = None
    pauses: Sequence[int] = ()
    threads: int | None = None
    ended: bool = False


class Word(NamedTuple):
    """What the first worker says of a checkpoint: whether it is written down, and whether all stop there."""

    writes: bool = False
    stops: bool = False


def follow(experiment: Experiment, config: dict[str, Any], workers: Workers) -> None:
    """Make a run together with others, the first of which records it; nothing is read, written or told here.

    Raises:
        StoppedError: the first one stops.
        LostWorkerError: another one is gone.
    """
    start, pauses, threads, ended = workers.told(Beginning())
    if ended:
        return
    experiment = replace(experiment, settings=replace(experiment.settings, threads=threads))

    def hear(events: Sequence[Event | None]) -> None:
        (event,) = events
        if isinstance(event, Checkpoint):
            word = workers.told(Word())
            if word.writes:
                whole(event, division_of(experiment, workers))
            if word.stops:
                raise StoppedError("")

    told = execution.side_by_side([experiment], [config], [start], pauses, workers)
    execution.finished(told, hear)
