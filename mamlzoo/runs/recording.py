"""Run experiments into directories, so that nothing is lost: checkpoints, stopping, and going on."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mamlzoo import files
from mamlzoo.contracts.plugins import Plugin
from mamlzoo.discovery import serialisation
from mamlzoo.engine.plan_choice import Alert
from mamlzoo.engine.workers import ALONE, LostWorkerError, Workers
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.experiments.events import Event
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import Result
from mamlzoo.experiments.seed_axis import division_of, whole
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import execution
from mamlzoo.runs.commands import resume_command
from mamlzoo.runs.config import check_data, config_of
from mamlzoo.runs.digests import experiment_digest
from mamlzoo.runs.following import Beginning, Word
from mamlzoo.runs.recording_policy import DEFAULT, DiskError, RecordingPolicy, StoppedError
from mamlzoo.runs.sitting import Sitting
from mamlzoo.runs.standing import Standing, gone_on_with, has_progress, place_of


def record(
    experiment: Experiment, directory: Path, policy: RecordingPolicy = DEFAULT, workers: Workers = ALONE
) -> Result:
    """Run an experiment into a new directory.

    Args:
        workers: of which this is the first; the others `follow`.

    Raises:
        UsageError: the directory is taken, or the combination cannot work; nothing is left behind then.
        StoppedError: it was asked to stop; `resume` goes on.
        MamlzooError: a plugin failed, or the disk; `resume` goes on where a checkpoint was written.
    """
    (result,) = _recorded([(experiment, directory)], policy, goes_on=False, workers=workers)
    return result


def resume(
    directory: Path,
    policy: RecordingPolicy = DEFAULT,
    given: Mapping[str, Plugin] | None = None,
    workers: Workers = ALONE,
) -> Result:
    """Go on with a run where its last good checkpoint stands; a finished one is loaded.

    Args:
        workers: of which this is the first; the others `follow`.
        given: by kind, plugins that came from Python; see `experiment_from`.

    Raises:
        UsageError: it is no run directory, its plugins are not installed, or what they read has changed.
        MamlzooError: another process is writing it, or it is damaged beyond what a checkpoint can mend.
    """
    run_directory.read_config(directory)
    shown, _ = _shown(directory)
    if shown is not None:  # nothing was written, so the directory may be one that can only be read
        workers.told(Beginning(ended=True))
        return shown
    with files.locked(directory):
        shown, alerts = _shown(directory)  # another process may have ended it meanwhile
        if shown is not None:
            workers.told(Beginning(ended=True))
            return shown
        (result,) = _run([gone_on_with(directory, policy, given or {}, alerts, workers)], policy, workers)
        return result


def begin(experiment: Experiment, directory: Path, threads: int) -> None:
    """Make the directory of a run that another process is to go on with, with the checkpoint that it begins with.

    So θ⁰ is there, be it another run's, and what that process needs of this machine is the directory alone.

    Args:
        threads: that it computes with, where the experiment leaves the number to the machine.

    Raises:
        UsageError: the directory is taken, or the combination cannot work; nothing is left behind then.
    """
    config = config_of(experiment)
    config["machine"]["threads"] = experiment.settings.threads or threads
    with contextlib.closing(execution.events(experiment, config)) as told:
        first = next(told)
    assert isinstance(first, Checkpoint)
    with run_directory.new_directory(directory, kept=False) as temporary:
        run_directory.write_config(temporary, config)
        run_directory.write_checkpoint(temporary, first, config)


def side_by_side(runs: Sequence[tuple[Experiment, Path]], policy: RecordingPolicy) -> list[Result]:
    """Run experiments at once that are companions, each into its directory, or go on with them there.

    Args:
        runs: each experiment with its directory, new or of a run that is not finished.

    Raises:
        UsageError, StoppedError: as `record` of one of them; what is begun can be gone on with.
        MamlzooError: likewise, or they do not stand at the same meta-step.
    """
    return _recorded(runs, policy, goes_on=True)


def _recorded(
    runs: Sequence[tuple[Experiment, Path]], policy: RecordingPolicy, *, goes_on: bool, workers: Workers = ALONE
) -> list[Result]:
    """Run experiments at once, each into its directory.

    Args:
        goes_on: whether a directory may be one of a run that is not finished.
    """
    made: dict[Path, dict[str, Any]] = {}
    with contextlib.ExitStack() as locks:
        try:
            for experiment, directory in runs:
                if goes_on and run_directory.is_run(directory):
                    locks.enter_context(files.locked(directory))
                    continue
                config = config_of(experiment)
                with run_directory.new_directory(directory, kept=False) as temporary:
                    run_directory.write_config(temporary, config)
                locks.enter_context(files.locked(directory))
                made[directory] = config  # from here on ours to remove
            if len(runs) > 1:
                _check_together(runs)
            standing = []
            for experiment, directory in runs:
                if directory in made:
                    standing.append(Standing(experiment, made[directory], directory, None))
                else:
                    given = {plugin.kind: plugin for plugin in experiment.plugins}
                    standing.append(gone_on_with(directory, policy, given, []))
            return _run(standing, policy, workers)
        except (StoppedError, DiskError, LostWorkerError):  # which say how to go on
            raise
        except MamlzooError:
            for directory, config in made.items():
                if not has_progress(directory, config):
                    shutil.rmtree(directory, ignore_errors=True)
            raise


def _check_together(runs: Sequence[tuple[Experiment, Path]]) -> None:
    """Hold runs to stand at one place, now that nobody else writes them.

    Raises:
        MamlzooError: another process has gone on with one of them.
    """
    ended = [directory for _, directory in runs if run_directory.is_finished(directory)]
    if ended or len({place_of(*run) for run in runs}) > 1:
        raise MamlzooError(f"{(ended or [runs[0][1]])[0]} does not stand where the runs beside it do")


def _shown(directory: Path) -> tuple[Result | None, list[str]]:
    """The result of a run that is finished and whole; and what to say of one that is finished and is not."""
    if not run_directory.is_finished(directory):
        return None, []
    try:
        return run_directory.load(directory), []
    except MamlzooError as error:
        return None, [str(error).partition("; ")[0] + "; it is made again"]


def record_or_resume(
    experiment: Experiment, directory: Path, policy: RecordingPolicy = DEFAULT, workers: Workers = ALONE
) -> Result:
    """The result of an experiment in this directory, whatever of it is there already.

    Args:
        workers: as for `record`.

    Raises:
        UsageError: the directory holds another experiment, or one on other data.
    """
    if not run_directory.is_run(directory):
        return record(experiment, directory, policy, workers)
    check_holds(directory, experiment)
    return resume(directory, policy, {plugin.kind: plugin for plugin in experiment.plugins}, workers)


def check_holds(directory: Path, experiment: Experiment) -> None:
    """A run directory must hold this experiment, on the data that there are.

    Raises:
        UsageError: it does not.
    """
    config = run_directory.read_config(directory)
    if experiment_digest(config) != experiment_digest(config_of(experiment)):
        raise UsageError(f"{directory} holds another experiment; choose another directory")
    check_data(experiment, config)


def _run(runs: Sequence[Standing], policy: RecordingPolicy, workers: Workers) -> list[Result]:
    """Run experiments at once; what happens goes to their directories.

    Args:
        workers: that make a single one together.
    """
    remember_code([run.experiment for run in runs], policy)
    recordings = [Sitting(run, policy) for run in runs]
    with contextlib.ExitStack() as opened:
        for recording in recordings:
            opened.enter_context(recording.open())
        every = policy.every.steps
        experiments, configs, _, starts = zip(*runs, strict=True)
        first, pauses = experiments[0], [every] if every else []
        told = execution.side_by_side(experiments, configs, starts, pauses, workers)

        def hear(events: Sequence[Event | None]) -> None:
            # Asked and decided once, so that all stop, and are written down, at the same meta-step.
            stops, pairs = policy.stop(), list(zip(recordings, events, strict=True))
            writes = stops or any(isinstance(event, Checkpoint) and each.is_due(event) for each, event in pairs)
            if isinstance(events[0], Checkpoint):  # the only place where several workers stop, or write
                workers.told(Word(writes, stops))
                if writes and workers.count > 1:
                    pairs = [(recordings[0], whole(events[0], division_of(first, workers)))]
            for recording, event in pairs:
                if event is not None:
                    recording.keep(event, writes=writes, stops=stops)
            of_all = len(events) > 1 and all(event is events[0] for event in events)
            for run, event in list(zip(runs, events, strict=True))[: 1 if of_all else None]:
                if event is not None:
                    policy.progress(run.experiment, event)
            if policy.stop() and not any(recording.in_training for recording in recordings):
                raise StoppedError(resume_command(runs[0].directory))

        try:
            workers.told(Beginning(starts[0], pauses, first.settings.threads))
            results = execution.finished(told, hear)
        except LostWorkerError as error:
            again = f"`{resume_command(runs[0].directory)}` goes on from the last checkpoint"
            raise LostWorkerError(error.what, remedy=again) from error
        return [recording.finish(result) for recording, result in zip(recordings, results, strict=True)]


def remember_code(experiments: Sequence[Experiment], policy: RecordingPolicy) -> None:
    """What is run here may be run again for its directory; a run is not to fail where that cannot be noted."""
    try:
        serialisation.remember(plugin for experiment in experiments for plugin in experiment.plugins)
    except UsageError as error:
        text = f"{error}; so what looks at this run later will ask for its code by name"
        policy.progress(experiments[0], Alert(text))
