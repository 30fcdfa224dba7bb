"""A comparison's directory: a run directory for each experiment, `comparison.json` and one figure for all."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mamlzoo import files
from mamlzoo.comparisons import labels
from mamlzoo.comparisons.comparison import Comparison
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.executors import making
from mamlzoo.executors.executor import Executor, Job
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import Result
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import execution, file_layouts, recording
from mamlzoo.runs.commands import resume_command
from mamlzoo.runs.config import check_data, config_of, experiment_from
from mamlzoo.runs.digests import experiment_digest
from mamlzoo.runs.recording_policy import DEFAULT, RecordingPolicy
from mamlzoo.runs.watchers import Part, Watcher

NAME = "comparison.json"


def record(
    experiments: Sequence[Experiment],
    directory: Path,
    policy: RecordingPolicy = DEFAULT,
    baseline: str | None = None,
    step: int | None = None,
    executor: Executor | None = None,
) -> Comparison:
    """Run experiments into a new directory.

    Args:
        executor: makes several at a time; None: one after another, here.

    Raises:
        UsageError: the directory is taken, or the executor has nowhere to make them.
        StoppedError, MamlzooError: as `recording.record`; `resume` goes on.
    """
    configs = [config_of(experiment) for experiment in experiments]
    with run_directory.new_directory(directory, kept=False) as temporary:
        _write_members(temporary, configs, baseline, step)
    recording.remember_code(experiments, policy)
    by_name: dict[str, Experiment | None] = dict(zip(_names(configs), experiments, strict=True))

    def one(name: str) -> Result:
        experiment = by_name[name]
        assert experiment is not None
        return recording.record_or_resume(experiment, directory / name, policy)

    return _run(directory, one, policy, by_name, executor)


def resume(directory: Path, policy: RecordingPolicy = DEFAULT, executor: Executor | None = None) -> Comparison:
    """Go on with a comparison: its finished runs are loaded, the others gone on with or begun.

    Args:
        executor: as for `record`.

    Raises:
        UsageError: a plugin is not installed.
        MamlzooError: as `recording.resume`.
    """
    shown = _shown(directory)
    if shown is not None:
        return shown
    members = _members(directory)
    configs = dict(zip(members["runs"], members["configs"], strict=True))

    def one(name: str) -> Result:
        if not run_directory.is_run(directory / name):
            return recording.record(_experiment_on_its_data(configs[name]), directory / name, policy)
        _check_same(directory / name, configs[name])
        return recording.resume(directory / name, policy)

    unfinished = [name for name in configs if not run_directory.is_finished(directory / name)]
    experiments = {name: _experiment(directory / name, configs[name]) for name in unfinished}
    return _run(directory, one, policy, experiments, executor)


def run(experiments: Sequence[Experiment], watcher: Watcher) -> Comparison:
    """Run experiments one after another; nothing is written."""
    names, results = labels.labels([config_of(experiment) for experiment in experiments]), []
    for at, experiment in enumerate(experiments):
        watcher.begins(Part("run", at + 1, len(experiments), names[at], experiments[at:]))
        results.append(execution.run(experiment, watcher))
    return Comparison(results)


def _shown(directory: Path) -> Comparison | None:
    """The comparison if it is finished and whole: to show that, nothing is written."""
    if "results" in run_directory.read_document(directory / NAME) and all(
        map(run_directory.is_finished, _run_directories(directory))
    ):
        with contextlib.suppress(MamlzooError):  # a run of it is damaged, and is made again
            return load(directory)
    return None


def load(directory: Path) -> Comparison:
    """A finished comparison, with its baseline.

    Raises:
        UsageError: a run of it is not finished.
        MamlzooError: it cannot be read.
    """
    members = _members(directory)
    return Comparison([run_directory.load(run) for run in runs(directory)], members["baseline"], members["step"])


def save(comparison: Comparison, directory: Path, draw: run_directory.Draw = run_directory.undrawn) -> Comparison:
    """Write the directory of a comparison that was computed without one.

    Raises:
        UsageError: it exists and is not empty, or cannot be written.
    """
    configs = [result.config for result in comparison.results]
    with run_directory.new_directory(directory) as temporary:
        _write_members(temporary, configs, comparison.baseline, comparison.step)
        results = []
        for name, result in zip(_names(configs), comparison.results, strict=True):
            (temporary / name).mkdir()
            results.append(run_directory.fill(result, temporary / name, directory / name, draw))
        return _finish(replace(comparison, results=results), temporary, draw)


def is_comparison(directory: Path) -> bool:
    """Whether it is a comparison's directory, finished or not."""
    return (directory / NAME).is_file()


def runs(directory: Path) -> list[Path]:
    """The run directories of a finished comparison, in its order.

    Raises:
        UsageError: a run of it is not finished.
        MamlzooError: it cannot be read.
    """
    found = _run_directories(directory)
    missing = [path.name for path in found if not run_directory.is_finished(path)]
    if missing:
        again = resume_command(directory)
        raise UsageError(f"{directory} is not finished, {', '.join(missing)} being missing; `{again}` goes on with it")
    return found


def _run_directories(directory: Path) -> list[Path]:
    return [directory / name for name in _members(directory)["runs"]]


def _run(
    directory: Path,
    one: Callable[[str], Result],
    policy: RecordingPolicy,
    experiments: Mapping[str, Experiment | None],
    executor: Executor | None,
) -> Comparison:
    """Run, or load, all runs of a directory.

    Args:
        experiments: by a run's name, where they are known beforehand.
    """
    with files.locked(directory):
        members = _members(directory)
        names, results = members["runs"], []
        failed = making.failed(executor, _jobs(directory, names, experiments), policy)
        for at, name in enumerate(names):
            if directory / name in failed:
                raise failed[directory / name]
            if not run_directory.is_finished(directory / name):
                left = [
                    experiments.get(later) for later in names[at:] if not run_directory.is_finished(directory / later)
                ]
                policy.begins(Part("run", at + 1, len(names), name, left))
            results.append(one(name))
        return _finish(Comparison(results, members["baseline"], members["step"]), directory, policy.draw)


def _jobs(directory: Path, names: Sequence[str], experiments: Mapping[str, Experiment | None]) -> list[Job]:
    """What an executor can make of the runs that are not finished."""
    found = []
    for at, name in enumerate(names):
        experiment = experiments.get(name)
        if experiment is not None and not run_directory.is_finished(directory / name):
            part = Part("run", at + 1, len(names), name, [experiment])
            found.append(Job(part, [(experiment, directory / name)]))
    return found


def _experiment(directory: Path, config: dict[str, Any]) -> Experiment | None:
    """What a run is made of, as far as its config leads back to it, and its directory and its data are those."""
    try:
        if run_directory.is_run(directory):
            _check_same(directory, config)
        return _experiment_on_its_data(config)
    except MamlzooError:  # said, where it matters, when the run's turn comes
        return None


def _experiment_on_its_data(config: dict[str, Any]) -> Experiment:
    experiment = experiment_from(config)
    check_data(experiment, config)
    return experiment


def _check_same(directory: Path, config: dict[str, Any]) -> None:
    """A run's directory must hold what the comparison says.

    Raises:
        UsageError: it holds another experiment.
    """
    if experiment_digest(run_directory.read_config(directory)) != experiment_digest(config):
        raise UsageError(f"{directory} holds another experiment than {directory.parent / NAME} says")


def _finish(comparison: Comparison, into: Path, draw: run_directory.Draw) -> Comparison:
    run_directory.write_figures(comparison, into, draw)
    files.write_json(into / NAME, {"format": run_directory.FORMAT} | _members(into) | comparison.document())
    return comparison


def _write_members(directory: Path, configs: Sequence[dict[str, Any]], baseline: str | None, step: int | None) -> None:
    members = {"runs": _names(configs), "configs": list(configs), "baseline": baseline, "step": step}
    files.write_json(directory / NAME, {"format": run_directory.FORMAT} | members)


def _members(directory: Path) -> dict[str, Any]:
    path = directory / NAME
    document = run_directory.read_document(path)
    members = {key: document.get(key) for key in ("runs", "configs", "baseline", "step")}
    names, configs = members["runs"], members["configs"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise MamlzooError(f"{path} cannot be read: its runs are no list of names")
    if not all(map(file_layouts.is_name, names)):
        raise MamlzooError(f"{path} cannot be read: a run's name must not lead elsewhere")
    if not isinstance(configs, list) or len(configs) != len(names):
        raise MamlzooError(f"{path} cannot be read: it has not one config for each run")
    for config in configs:
        try:
            file_layouts.check_config(config)
        except (ValueError, AttributeError) as error:
            raise MamlzooError(f"{path} cannot be read: in a config, {error}") from error
    for key, kind in {"baseline": str, "step": int}.items():
        if members[key] is not None and type(members[key]) is not kind:
            raise MamlzooError(f"{path} cannot be read: its {key} is {members[key]!r}")
    return members


def _names(configs: Sequence[dict[str, Any]]) -> list[str]:
    """A directory name for each, made of its label."""
    names: list[str] = []
    for label in labels.labels(configs):
        names.append(run_directory.free_name(re.sub(r"[^\w.=]+", "-", label).strip("-"), names))
    return names
