"""A sweep's directory: each cell an experiment recorded in a directory of its own, run, gone on with, or loaded."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mamlzoo import files
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.engine.plan_choice import Notice
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import file_layouts, recording
from mamlzoo.runs.commands import resume_command
from mamlzoo.runs.config import check_data, config_of, experiment_from
from mamlzoo.runs.digests import experiment_digest
from mamlzoo.runs.recording_policy import DEFAULT, RecordingPolicy, StoppedError
from mamlzoo.runs.setup import rehearse
from mamlzoo.runs.watchers import Part
from mamlzoo.sweeps.axes import Axis
from mamlzoo.sweeps.cells import Cell, Scores
from mamlzoo.sweeps.grid import Candidate, Grid, first_line, short_names
from mamlzoo.sweeps.sweep import Sweep
from mamlzoo.tables import count

NAME = "sweep.json"
DEFINING = (*KINDS, "settings")
"""What of a config tells one cell from another; the rest stands in the cell's own directory."""
LONGEST = 100
"""Characters of a directory's name, at most."""


def record(grid: Grid, directory: Path, policy: RecordingPolicy = DEFAULT) -> Sweep:
    """Run the cells one after another into a directory, new or of an earlier sweep, whose finished cells are kept.

    Raises:
        UsageError: the directory holds something else, or no cell can work; nothing is left behind then.
        StoppedError: it was asked to stop; the same call goes on.
        MamlzooError: another process works on the directory, or it cannot be written.
    """
    cells = None
    if not is_sweep(directory):
        with run_directory.new_directory(directory, kept=False) as temporary:
            cells = _tried(grid, directory, policy)
            _write(Sweep(grid.axes, cells), temporary)
    with files.locked(directory):
        cells = _tried(grid, directory, policy) if cells is None else cells
        recording.remember_code([one.experiment for one in grid.candidates if one.experiment is not None], policy)
        return _run(grid, cells, directory, policy)


def resume(directory: Path, policy: RecordingPolicy = DEFAULT) -> Sweep:
    """Go on with a sweep: its finished cells are loaded, the others gone on with or begun; failed ones are tried again.

    Raises:
        UsageError: a plugin of a cell is not installed, or came from Python; the call that began it goes on with it.
        StoppedError, MamlzooError: as `record`.
    """
    saved = _read(directory)
    if all(cell["run"] is not None for cell in saved["cells"]):
        with contextlib.suppress(MamlzooError):  # a run of it is damaged, and is made again
            return load(directory)
    candidates = []
    for cell in saved["cells"]:
        experiment = None if cell["config"] is None else experiment_from(cell["config"])
        if experiment is not None:
            check_data(experiment, cell["config"])
        error = cell["error"] if experiment is None else None
        candidates.append(Candidate(cell["values"], experiment, error, cell["config"]))
    return record(Grid(saved["axes"], candidates), directory, policy)


def load(directory: Path) -> Sweep:
    """A sweep all of whose cells are finished or failed.

    Raises:
        UsageError: cells are still to be run.
        MamlzooError: it, or a run of it, cannot be read.
    """
    saved, cells = _read(directory), []
    waiting = sum(cell["run"] is None and cell["error"] is None for cell in saved["cells"])
    if waiting:
        again = resume_command(directory)
        raise UsageError(
            f"{directory} is not finished, {waiting} of {count(len(saved['cells']), 'cell')} being left; "
            f"`{again}` goes on with it"
        )
    for cell in saved["cells"]:
        found = Cell(cell["values"], cell["config"], error=cell["error"])
        if cell["run"] is not None:
            result = run_directory.load(directory / cell["run"])
            if experiment_digest(result.config) != experiment_digest(cell["config"]) or not result.validation:
                raise MamlzooError(f"{result.run_dir} holds another experiment than {directory / NAME} says")
            found = replace(found, scores=Scores.of(result), run_dir=result.run_dir)
        cells.append(found)
    return Sweep(saved["axes"], cells)


def _read(directory: Path) -> dict[str, Any]:
    """Axes and cells as they were written: of a cell its values, its config, the name of its run, and its error.

    Raises:
        MamlzooError: it cannot be read.
    """
    path = directory / NAME
    document = run_directory.read_document(path)
    try:
        axes, cells = document["axes"], document["cells"]
        file_layouts.expect("axes", axes, lambda found: bool(found) and all(map(_is_axis, found)))
        file_layouts.expect("cells", cells, lambda found: bool(found) and all(map(_is_cell, found)))
        for cell in cells:
            if cell["config"] is not None:
                file_layouts.check_experiment(cell["config"])
            file_layouts.check_values("values", cell["values"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise MamlzooError(f"{path} cannot be read: {file_layouts.told(error)}") from error
    names = short_names(axis["key"] for axis in axes)
    return {
        "axes": [Axis(axis["key"], names[axis["key"]], tuple(map(_value, axis["values"]))) for axis in axes],
        "cells": [
            {
                "values": {key: _value(value) for key, value in cell["values"].items()},
                **{key: cell[key] for key in ("config", "run", "error")},
            }
            for cell in cells
        ],
    }


def _is_axis(found: Any) -> bool:
    return isinstance(found["key"], str) and isinstance(found["values"], list) and bool(found["values"])


def _is_cell(found: Any) -> bool:
    run, error, config = found["run"], found["error"], found["config"]
    return (
        isinstance(found["values"], dict)
        and (run is None or (file_layouts.is_name(run) and config is not None and error is None))
        and (error is None or isinstance(error, str))
        and (isinstance(config, dict) or (config is None and error is not None))
    )


def _value(found: Any) -> Any:
    """As an option takes it: what JSON has as a list is a tuple."""
    return tuple(found) if isinstance(found, list) else found


def is_sweep(directory: Path) -> bool:
    """Whether it is a sweep's directory, finished or not."""
    return (directory / NAME).is_file()


def _run(grid: Grid, cells: list[Cell], directory: Path, policy: RecordingPolicy) -> Sweep:
    sweep = Sweep(grid.axes, cells)
    waiting = [at for at, cell in enumerate(cells) if cell.error is None and not _is_finished(cell)]
    for at, (cell, candidate) in enumerate(zip(list(cells), grid.candidates, strict=True)):
        if policy.stop():
            raise StoppedError(resume_command(directory))
        runs = waiting[:1] == [at]
        if runs:
            left = [grid.candidates[later].experiment for later in waiting]
            policy.begins(Part("cell", at + 1, len(cells), sweep.label(cell), left))
            waiting.pop(0)
        if cell.error is None:
            cells[at] = _ended(cell, candidate, directory, policy)
        if runs:
            _write(sweep, directory)
        if runs or cell.error is not None:
            policy.says(f"cell {at + 1} of {len(cells)}: {sweep.label(cell)}: {_outcome(cells[at])}")
    _write(sweep, directory)
    if sweep.finished:
        run_directory.write_figures(sweep, directory, policy.draw)
    return sweep


def _is_finished(cell: Cell) -> bool:
    return cell.run_dir is not None and run_directory.is_finished(cell.run_dir)


def _outcome(cell: Cell) -> str:
    """How a cell ended, in one line."""
    scores = cell.scores
    if scores is None:
        return f"failed: {cell.error}"
    left_out = f", {len(scores.diverged)} of {count(scores.seeds, 'seed')} diverged" if scores.diverged else ""
    return f"valid {scores.metric} {scores.valid}, test {scores.metric} {scores.test}{left_out}"


def _ended(cell: Cell, candidate: Candidate, directory: Path, policy: RecordingPolicy) -> Cell:
    """The cell once it has been run, or loaded."""
    assert candidate.experiment is not None
    assert cell.run_dir is not None
    try:
        if run_directory.is_run(cell.run_dir):
            given = {plugin.kind: plugin for plugin in candidate.experiment.plugins}
            result = recording.resume(cell.run_dir, policy, given)
        else:
            result = recording.record(candidate.experiment, cell.run_dir, policy)
    except StoppedError:
        raise StoppedError(resume_command(directory)) from None
    except MamlzooError as error:
        return replace(cell, error=first_line(error))
    return replace(cell, scores=Scores.of(result))


def _tried(grid: Grid, directory: Path, policy: RecordingPolicy) -> list[Cell]:
    """A cell for each candidate: where it is, or will be, recorded, or why it cannot work."""
    there = _recorded(directory) if directory.is_dir() else {}
    taken = {path.name for path in directory.iterdir()} if directory.is_dir() else set[str]()
    cells: list[Cell] = []
    for at, candidate in enumerate(grid.candidates, 1):
        cell = Cell(candidate.values, None, error=candidate.error)
        if candidate.experiment is not None:
            try:
                cell = _placed(grid, candidate, candidate.experiment, directory, there, taken)
                if not _is_finished(cell):
                    policy.progress(candidate.experiment, Notice(f"trying cell {at} of {len(grid.candidates)}"))
                    rehearse(candidate.experiment)
            except MamlzooError as error:
                cell = replace(cell, error=first_line(error))
            if cell.run_dir is not None and run_directory.is_run(cell.run_dir):
                # Not the error of a cell: those that are still to come would be on other data than these.
                check_data(candidate.experiment, run_directory.read_config(cell.run_dir))
        cells.append(cell)
    if all(cell.error is not None for cell in cells):
        raise UsageError(f"none of the {count(len(cells), 'cell')} can work: {cells[0].error}")
    return cells


def _placed(
    grid: Grid,
    candidate: Candidate,
    experiment: Experiment,
    directory: Path,
    there: Mapping[str, list[Path]],
    taken: set[str],
) -> Cell:
    config = candidate.config
    if config is None or not there.get(experiment_digest(config)):
        config = config_of(experiment)
    digest, cell = experiment_digest(config), Cell(candidate.values, {key: config[key] for key in DEFINING})
    if there.get(digest):  # two functions from Python may have one config; each takes its own directory
        return replace(cell, run_dir=there[digest].pop(0))
    stem = re.sub(r"[^\w.=]+", "-", Sweep(grid.axes, []).label(cell)).strip("-")[:LONGEST]
    name = run_directory.free_name(stem, taken)
    taken.add(name)
    return replace(cell, run_dir=directory / name)


def _recorded(directory: Path) -> dict[str, list[Path]]:
    """The runs in a directory, by the digest of their config."""
    found: dict[str, list[Path]] = {}
    for path in sorted(directory.glob("*/config.json")):
        if not path.parent.name.startswith("."):  # what a killed process had not finished
            digest = experiment_digest(run_directory.read_config(path.parent))
            found.setdefault(digest, []).append(path.parent)
    return found


def _write(sweep: Sweep, directory: Path) -> None:
    try:
        files.write_json(directory / NAME, {"format": run_directory.FORMAT} | sweep.document())
        files.write_text(directory / "sweep.csv", sweep.csv())
    except OSError as error:
        raise MamlzooError(f"{directory} could not be written: {error.strerror or error}") from error
