"""Where the run of a directory stands: what it is, its last good checkpoint, and what to say of both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mamlzoo import files
from mamlzoo.contracts import options
from mamlzoo.contracts.plugins import KINDS, Plugin
from mamlzoo.discovery import serialisation
from mamlzoo.engine.plan_choice import Alert
from mamlzoo.engine.workers import ALONE, Workers
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.runs import checkpoint_file, execution
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.config import check_data, config_of, experiment_from
from mamlzoo.runs.recording_policy import RecordingPolicy
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


def gone_on_with(
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


def has_progress(directory: Path, config: dict[str, Any]) -> bool:
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
