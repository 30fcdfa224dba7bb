"""What jobs need of a machine."""

from __future__ import annotations

from collections.abc import Sequence

from mamlzoo.executors.executor import Job


def most_threads(jobs: Sequence[Job]) -> int | None:
    """How many threads a job was given at most by name; None where that is left to the machine."""
    given = [experiment.settings.threads for job in jobs for experiment, _ in job.runs]
    return max((threads for threads in given if threads is not None), default=None)


def wants_gpu(jobs: Sequence[Job]) -> bool:
    """Whether a job asks for a GPU, whichever it is."""
    return any(experiment.settings.device == "cuda" for job in jobs for experiment, _ in job.runs)
