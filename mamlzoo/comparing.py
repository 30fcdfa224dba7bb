"""A comparison's directory: a run directory for each experiment, `comparison.json` and one figure for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mamlzoo import files, labels, plots, recording, store
from mamlzoo.errors import MamlzooError
from mamlzoo.experiment import Experiment
from mamlzoo.recording import DEFAULT, Manner
from mamlzoo.result import Comparison, Result

NAME = "comparison.json"


def record(
    experiments: Sequence[Experiment],
    directory: Path,
    manner: Manner = DEFAULT,
    baseline: str | None = None,
    step: int | None = None,
) -> Comparison:
    """Run experiments one after another into a new directory.

    Raises:
        UsageError: the directory is taken.
        StoppedError, MamlzooError: as `recording.record`; `resume` goes on.
    """
    configs = [experiment.config() for experiment in experiments]
    with store.new_directory(directory) as temporary:
        _write_plan(temporary, configs, baseline, step)
    by_name = dict(zip(_names(configs), experiments, strict=True))
    return _run(directory, lambda name: recording.record_or_resume(by_name[name], directory / name, manner))


def resume(directory: Path, manner: Manner = DEFAULT) -> Comparison:
    """Go on with a comparison: its finished runs are loaded, the others gone on with or begun.

    Raises:
        UsageError: a plugin is not installed.
        MamlzooError: as `recording.resume`.
    """
    plan = _plan(directory)

    def one(name: str) -> Result:
        if store.is_run(directory / name):
            return recording.resume(directory / name, manner)
        config = plan["configs"][plan["runs"].index(name)]
        return recording.record(Experiment.from_config(config), directory / name, manner)

    return _run(directory, one)


def save(comparison: Comparison, directory: Path) -> Comparison:
    """Write the directory of a comparison that was computed without one.

    Raises:
        UsageError: it exists and is not empty, or cannot be written.
    """
    configs = [result.config for result in comparison.results]
    with store.new_directory(directory) as temporary:
        _write_plan(temporary, configs, comparison.baseline, comparison.step)
        results = []
        for name, result in zip(_names(configs), comparison.results, strict=True):
            (temporary / name).mkdir()
            results.append(store.fill(result, temporary / name, directory / name))
        return _finish(replace(comparison, results=results), temporary)


def is_comparison(directory: Path) -> bool:
    """Whether it is a comparison's directory, finished or not."""
    return (directory / NAME).is_file()


def runs(directory: Path) -> list[Path]:
    """The run directories of a comparison, in its order.

    Raises:
        MamlzooError: its plan cannot be read.
    """
    return [directory / name for name in _plan(directory)["runs"]]


def _run(directory: Path, one: Callable[[str], Result]) -> Comparison:
    plan = _plan(directory)
    with files.locked(directory):
        results = [one(name) for name in plan["runs"]]
        return _finish(Comparison(results, plan["baseline"], plan["step"]), directory)


def _finish(comparison: Comparison, into: Path) -> Comparison:
    with store.expendable_figure():
        plots.save(comparison.plot(), into / "curves.png")
    files.write_json(into / NAME, {"format": store.FORMAT} | _plan(into) | comparison.document())
    return comparison


def _write_plan(directory: Path, configs: Sequence[dict[str, Any]], baseline: str | None, step: int | None) -> None:
    plan = {"runs": _names(configs), "configs": list(configs), "baseline": baseline, "step": step}
    files.write_json(directory / NAME, {"format": store.FORMAT} | plan)


def _plan(directory: Path) -> dict[str, Any]:
    document = store.read_document(directory / NAME)
    try:
        return {key: document[key] for key in ("runs", "configs", "baseline", "step")}
    except KeyError as error:
        raise MamlzooError(f"{directory / NAME} cannot be read: it lacks {error}") from error


def _names(configs: Sequence[dict[str, Any]]) -> list[str]:
    """A directory name for each, made of its label."""
    names: list[str] = []
    for number, label in enumerate(labels.labels(configs), 1):
        name = re.sub(r"[^\w.=]+", "-", label).strip("-")
        names.append(f"{name}-{number}" if name in names else name)
    return names
