"""A recipe's runs by an executor: first those that begin with θ of their own, then those that begin with theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mamlzoo.contracts.recipes import Recipe
from mamlzoo.errors import MamlzooError
from mamlzoo.executors import making
from mamlzoo.executors.executor import Executor, Job
from mamlzoo.reproductions import choosing
from mamlzoo.reproductions.recipe_runs import experiment_of
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import recording
from mamlzoo.runs.recording_policy import RecordingPolicy
from mamlzoo.runs.setup import rehearse
from mamlzoo.runs.watchers import Part


def failed(recipe: Recipe, directory: Path, policy: RecordingPolicy, executor: Executor) -> dict[Path, MamlzooError]:
    """Make the runs, several at a time; by directory, why some failed. What begins with one of these is not begun.

    Raises:
        UsageError: a run's directory holds another experiment, or the executor has nowhere to make them.
        StoppedError, MamlzooError: as `choosing.choose`.
    """
    found: dict[Path, MamlzooError] = {}
    chosen: dict[str, dict[str, Any]] = {}
    waiting = list(enumerate(recipe.runs))
    while ready := [
        (at, run) for at, run in waiting if run.origin is None or run_directory.is_finished(directory / run.origin)
    ]:
        waiting = [one for one in waiting if one not in ready]
        jobs = []
        for at, run in ready:
            own = run.origin is None
            values = choosing.choose(recipe, run, directory, policy, executor) if own else chosen[str(run.origin)]
            chosen[run.label], place = values, directory / run.label
            experiment = experiment_of(run, directory, values)
            if run_directory.is_finished(place):
                continue
            if run_directory.is_run(place):
                recording.check_holds(place, experiment)
            elif run.origin is not None:
                rehearse(experiment)
            part = Part("run", at + 1, len(recipe.runs), run.label, [experiment])
            jobs.append(Job(part, [(experiment, place)]))
        found |= making.failed(executor, jobs, policy)
    return found
