"""Run experiments into directories, so that nothing is lost: checkpoints, stopping, and going on."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mamlzoo import files
from mamlzoo.contracts import options
from mamlzoo.contracts.plugins import KINDS, Plugin
from mamlzoo.discovery import serialisation
from mamlzoo.engine.plan_choice import Alert, Choice
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.engine.workers import ALONE, LostWorkerError, Workers
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.experiments.events import Event
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import Result
from mamlzoo.experiments.seed_axis import division_of, whole
from mamlzoo.runs import checkpoint_file, execution
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.commands import resume_command
from mamlzoo.runs.config import check_data, config_of, experiment_from
from mamlzoo.runs.digests import experiment_digest
from mamlzoo.runs.loggers import Loggers
from mamlzoo.runs.recording_policy import DEFAULT, DiskError, RecordingPolicy, StoppedError
from mamlzoo.tables import count


class Standing(NamedTuple):
    """Where a run is to begin or to go on.

    Attributes:
        experiment: as it is to be run here.
        config: that it is recorded with.
        start: its last good checkpoint; None: it begins.
    """

    experiment: Experiment
    config: dict[str, Any]
    directory: Path
    start: Checkpoint | None


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
        workers.told(_Beginning(ended=True))
        return shown
    with files.locked(directory):
        shown, alerts = _shown(directory)  # another process may have ended it meanwhile
        if shown is not None:
            workers.told(_Beginning(ended=True))
            return shown
        (result,) = _run([_gone_on_with(directory, policy, given or {}, alerts, workers)], policy, workers)
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
                    standing.append(_gone_on_with(directory, policy, given, []))
            return _run(standing, policy, workers)
        except (StoppedError, DiskError, LostWorkerError):  # which say how to go on
            raise
        except MamlzooError:
            for directory, config in made.items():
                if not _has_progress(directory, config):
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


def _gone_on_with(
    directory: Path,
    policy: RecordingPolicy,
    given: Mapping[str, Plugin],
    alerts: Sequence[str],
    workers: Workers = ALONE,
) -> Standing:
    """Where a run that is not finished goes on; what is left of its end is removed.

    Args:
        alerts: what else to say of it.
    """
    config = run_directory.read_config(directory)
    experiment = _experiment(config, given)
    start, said = _last_good(directory, config)
    before = config["machine"].get("workers", 1)
    if start is not None:
        changes = _changes(config, experiment)
        if before != workers.count:
            numbers = [count(number, "worker") for number in (before, workers.count)]
            step = start.training.step
            changes.append(f"begun by {numbers[0]}, from meta-step {step} on by {numbers[1]}: the last bits may differ")
        start, said = replace(start, remarks=[*start.remarks, *changes]), [*said, *changes]
    for text in [*alerts, *said]:
        policy.progress(experiment, Alert(text))
    _tidy(directory)
    run_directory.reopen(directory)
    if before == workers.count:
        # As many threads as it began with, where it left the number to the machine: sums depend on it.
        settings = replace(experiment.settings, threads=config["machine"]["threads"])
        experiment = replace(experiment, settings=settings)
    return Standing(experiment, config, directory, start)


def place_of(experiment: Experiment, directory: Path) -> tuple[int, str, int]:
    """From where an experiment would begin or go on: its meta-step, its plan, its threads."""
    start, threads = None, experiment.settings.most_threads
    if run_directory.is_run(directory):
        config = run_directory.read_config(directory)
        start, threads = _last_good(directory, config)[0], config["machine"]["threads"]
    return (0, execution.NOTHING.plan, threads) if start is None else (start.training.step, start.plan.plan, threads)


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


class _Beginning(NamedTuple):
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


class _Word(NamedTuple):
    """What the first worker says of a checkpoint: whether it is written down, and whether all stop there."""

    writes: bool = False
    stops: bool = False


def follow(experiment: Experiment, config: dict[str, Any], workers: Workers) -> None:
    """Make a run together with others, the first of which records it; nothing is read, written or told here.

    Raises:
        StoppedError: the first one stops.
        LostWorkerError: another one is gone.
    """
    start, pauses, threads, ended = workers.told(_Beginning())
    if ended:
        return
    experiment = replace(experiment, settings=replace(experiment.settings, threads=threads))

    def hear(events: Sequence[Event | None]) -> None:
        (event,) = events
        if isinstance(event, Checkpoint):
            word = workers.told(_Word())
            if word.writes:
                whole(event, division_of(experiment, workers))
            if word.stops:
                raise StoppedError("")

    told = execution.side_by_side([experiment], [config], [start], pauses, workers)
    execution.finished(told, hear)


def _run(runs: Sequence[Standing], policy: RecordingPolicy, workers: Workers) -> list[Result]:
    """Run experiments at once; what happens goes to their directories.

    Args:
        workers: that make a single one together.
    """
    remember_code([run.experiment for run in runs], policy)
    recordings = [_Recording(run, policy) for run in runs]
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
                workers.told(_Word(writes, stops))
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
            workers.told(_Beginning(starts[0], pauses, first.settings.threads))
            results = execution.finished(told, hear)
        except LostWorkerError as error:
            again = f"`{resume_command(runs[0].directory)}` goes on from the last checkpoint"
            raise LostWorkerError(error.what, remedy=again) from error
        return [recording.finish(result) for recording, result in zip(recordings, results, strict=True)]


class _Recording:
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


def remember_code(experiments: Sequence[Experiment], policy: RecordingPolicy) -> None:
    """What is run here may be run again for its directory; a run is not to fail where that cannot be noted."""
    try:
        serialisation.remember(plugin for experiment in experiments for plugin in experiment.plugins)
    except UsageError as error:
        text = f"{error}; so what looks at this run later will ask for its code by name"
        policy.progress(experiments[0], Alert(text))


def _key(checkpoint: Checkpoint) -> tuple[int, int, Choice]:
    """What tells a checkpoint from another one of the same sitting."""
    return checkpoint.training.step, len(checkpoint.validation), checkpoint.plan


def experiment_in(directory: Path, given: Mapping[str, Plugin]) -> Experiment:
    """The experiment of a run directory, as `resume` goes on with it.

    Raises:
        UsageError: as `resume`.
    """
    return _experiment(run_directory.read_config(directory), given)


def _experiment(config: dict[str, Any], given: Mapping[str, Plugin]) -> Experiment:
    for kind in KINDS:
        saved = config[kind]
        name = saved["name"]
        if kind in given:
            if (given[kind].name, options.values(given[kind])) != (name, saved["options"]):
                raise UsageError(f"the {kind} given is not '{name}' with the options that the run began with")
            serialisation.check_same(kind, saved, given[kind])
        elif serialisation.text_of(saved) is None:
            raise UsageError(
                f"{kind} '{name}' came from Python and its code is not in the run directory; give it again: "
                f"mamlzoo.resume(directory, {kind}=…)"
            )
    experiment = experiment_from(config, given)
    check_data(experiment, config)
    return experiment


def _changes(config: dict[str, Any], experiment: Experiment) -> list[str]:
    """What differs from when the run began and may change the last bits."""
    now = config_of(experiment)
    pairs = [(f"{name} {old}", f"{name} {now['versions'].get(name)}") for name, old in config["versions"].items()]
    pairs.append((config["machine"]["processor"], now["machine"]["processor"]))
    changed = [(before, after) for before, after in pairs if before != after]
    return [f"begun with {before}, gone on with {after}: the last bits may differ" for before, after in changed]


def _last_good(directory: Path, config: dict[str, Any]) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, None if none was ever written; and what to say of it."""
    damage: list[str] = []
    for name in (checkpoint_file.NAME, checkpoint_file.PREVIOUS):
        if not os.path.lexists(directory / name):
            damage.append(f"{directory / name} is not there")
            continue
        try:
            found = run_directory.read_checkpoint(directory, name, config)
        except MamlzooError as error:
            damage.append(str(error))
            continue
        return found, [f"{text}; going on from {name}, meta-step {found.training.step}" for text in damage]
    if any("is not there" not in text for text in damage):
        raise MamlzooError(f"{'; '.join(damage)}; nothing is left to go on from; remove it and run it anew")
    return None, [f"{directory} has no checkpoint, so the run begins again"]


def _has_progress(directory: Path, config: dict[str, Any]) -> bool:
    """Whether there is anything to go on from."""
    try:
        found, _ = _last_good(directory, config)
    except MamlzooError:
        return True
    return found is not None and found.training.step > 0


def _tidy(directory: Path) -> None:
    """Remove what a killed process had not finished writing."""
    for path in directory.glob(".*"):
        if path.is_file() and path.name != files.LOCK:
            path.unlink()


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
