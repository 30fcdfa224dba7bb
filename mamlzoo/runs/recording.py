"""Run experiments into directories, so that nothing is lost: checkpoints, stopping, and going on."""

from __future__ import annotations

import functools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mamlzoo import files
from mamlzoo.contracts import options
from mamlzoo.contracts.plugins import KINDS, Plugin
from mamlzoo.discovery import serialisation
from mamlzoo.engine.plan_choice import Alert, Choice
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.experiments.events import Event
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import Result
from mamlzoo.runs import checkpoint_file, execution
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.commands import resume_command
from mamlzoo.runs.config import check_data, config_of, experiment_from
from mamlzoo.runs.digests import experiment_digest
from mamlzoo.runs.loggers import Loggers
from mamlzoo.runs.recording_policy import DEFAULT, DiskError, RecordingPolicy, StoppedError


def record(experiment: Experiment, directory: Path, policy: RecordingPolicy = DEFAULT) -> Result:
    """Run an experiment into a new directory.

    Raises:
        UsageError: the directory is taken, or the combination cannot work; nothing is left behind then.
        StoppedError: it was asked to stop; `resume` goes on.
        MamlzooError: a plugin failed, or the disk; `resume` goes on where a checkpoint was written.
    """
    config = config_of(experiment)
    with run_directory.new_directory(directory, kept=False) as temporary:
        run_directory.write_config(temporary, config)
    with files.locked(directory):
        try:
            return _Recording(experiment, config, directory, policy).run(None)
        except (StoppedError, DiskError):
            raise
        except MamlzooError:
            if not _has_progress(directory, config):
                shutil.rmtree(directory, ignore_errors=True)
            raise


def resume(directory: Path, policy: RecordingPolicy = DEFAULT, given: Mapping[str, Plugin] | None = None) -> Result:
    """Go on with a run where its last good checkpoint stands; a finished one is loaded.

    Args:
        given: by kind, plugins that came from Python; see `experiment_from`.

    Raises:
        UsageError: it is no run directory, its plugins are not installed, or what they read has changed.
        MamlzooError: another process is writing it, or it is damaged beyond what a checkpoint can mend.
    """
    config = run_directory.read_config(directory)
    shown, _ = _shown(directory)
    if shown is not None:  # nothing was written, so the directory may be one that can only be read
        return shown
    with files.locked(directory):
        shown, alerts = _shown(directory)  # another process may have ended it meanwhile
        if shown is not None:
            return shown
        experiment = _experiment(config, given or {})
        start, said = _last_good(directory, config)
        if start is not None:
            changes = _changes(config, experiment)
            start, said = replace(start, remarks=[*start.remarks, *changes]), [*said, *changes]
        for text in [*alerts, *said]:
            policy.progress(experiment, Alert(text))
        _tidy(directory)
        run_directory.reopen(directory)
        # As many threads as it began with, where it left the number to the machine: sums depend on it.
        settings = replace(experiment.settings, threads=config["machine"]["threads"])
        return _Recording(replace(experiment, settings=settings), config, directory, policy).run(start)


def _shown(directory: Path) -> tuple[Result | None, list[str]]:
    """The result of a run that is finished and whole; and what to say of one that is finished and is not."""
    if not run_directory.is_finished(directory):
        return None, []
    try:
        return run_directory.load(directory), []
    except MamlzooError as error:
        return None, [str(error).partition("; ")[0] + "; it is made again"]


def record_or_resume(experiment: Experiment, directory: Path, policy: RecordingPolicy = DEFAULT) -> Result:
    """The result of an experiment in this directory, whatever of it is there already.

    Raises:
        UsageError: the directory holds another experiment, or one on other data.
    """
    if not run_directory.is_run(directory):
        return record(experiment, directory, policy)
    config = run_directory.read_config(directory)
    if experiment_digest(config) != experiment_digest(config_of(experiment)):
        raise UsageError(f"{directory} holds another experiment; choose another directory")
    check_data(experiment, config)
    return resume(directory, policy, {plugin.kind: plugin for plugin in experiment.plugins})


class _Recording:
    """One sitting of a run: what happens goes to its directory."""

    def __init__(
        self, experiment: Experiment, config: dict[str, Any], directory: Path, policy: RecordingPolicy
    ) -> None:
        self._experiment, self._config, self._directory, self._policy = experiment, config, directory, policy
        self._written: tuple[int, int, Choice] | None = None
        self._when = time.monotonic()
        self._in_training = False

    def run(self, start: Checkpoint | None) -> Result:
        remember_code([self._experiment], self._policy)
        loggers = Loggers(self._policy.loggers, self._experiment, self._directory)
        with _disk(self._directory), loggers.told(start.training.step if start else 0) as tell:
            self._begin_metrics(start)
            every = self._policy.every.steps
            events = execution.events(self._experiment, self._config, start, [every] if every else [])
            result = execution.finished(events, functools.partial(self._hear, tell))
            result = run_directory.finish(result, self._directory, self._directory, self._policy.draw)
            loggers.end(result=result)
            return result

    def _hear(self, tell: Callable[[Event], None], event: Event) -> None:
        self._keep(event)
        tell(event)
        self._policy.progress(self._experiment, event)
        if self._policy.stop() and not self._in_training:
            raise StoppedError(resume_command(self._directory))

    def _begin_metrics(self, start: Checkpoint | None) -> None:
        """As the checkpoint has them: lines after it will come again."""
        records = [] if start is None else start.records
        files.write_text(self._directory / "metrics.jsonl", "".join(map(run_directory.metrics_line, records)))

    def _keep(self, event: Event) -> None:
        if isinstance(event, TrainingRecord | ValidationRecord):
            with (self._directory / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(run_directory.metrics_line(event))
        elif isinstance(event, Checkpoint):
            stops = self._policy.stop()
            if stops or self._is_due(event):
                run_directory.write_checkpoint(self._directory, event, self._config)
                self._written, self._when = _key(event), time.monotonic()
            # The records and validations that follow belong to meta-steps that are not written yet: no place to stop.
            self._in_training = not stops and not self._experiment.is_trained(event)

    def _is_due(self, checkpoint: Checkpoint) -> bool:
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
