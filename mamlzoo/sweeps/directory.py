"""A sweep's directory: each cell an experiment recorded in a directory of its own, run, gone on with, or loaded."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mamlzoo import files
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.engine.plan_choice import Notice
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.executors import making
from mamlzoo.executors.executor import Executor, Job
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import recording, standing
from mamlzoo.runs.commands import resume_command
from mamlzoo.runs.companions import companions
from mamlzoo.runs.config import check_data, config_of, experiment_from
from mamlzoo.runs.digests import experiment_digest
from mamlzoo.runs.recording_policy import DEFAULT, LoggerError, RecordingPolicy, StoppedError
from mamlzoo.runs.setup import rehearse
from mamlzoo.runs.watchers import Part
from mamlzoo.sweeps import document
from mamlzoo.sweeps.cells import Cell, Scores
from mamlzoo.sweeps.grid import Candidate, Grid, first_line
from mamlzoo.sweeps.sweep import Sweep
from mamlzoo.tables import count

NAME = "sweep.json"
DEFINING = (*KINDS, "settings")
"""What of a config tells one cell from another; the rest stands in the cell's own directory."""
LONGEST = 100
"""Characters of a directory's name, at most."""


def record(
    grid: Grid,
    directory: Path,
    policy: RecordingPolicy = DEFAULT,
    *,
    one_by_one: bool = False,
    executor: Executor | None = None,
) -> Sweep:
    """Run the cells into a directory, new or of an earlier sweep, whose finished cells are kept.

    Args:
        one_by_one: run none side by side with others, though they differ in numbers alone.
        executor: makes several groups of them at a time; None: one after another, here.

    Raises:
        UsageError: the directory holds something else, or no cell can work; nothing is left behind then.
        StoppedError: it was asked to stop; the same call goes on.
        MamlzooError: another process works on the directory, or it cannot be written.
    """
    cells = None
    if not is_sweep(directory):
        with run_directory.new_directory(directory, kept=False) as temporary:
            cells = _tried(grid, directory, policy)
            _write(Sweep(grid.axes, cells), temporary, one_by_one=one_by_one)
    with files.locked(directory):
        cells = _tried(grid, directory, policy) if cells is None else cells
        recording.remember_code([one.experiment for one in grid.candidates if one.experiment is not None], policy)
        return _run(grid, cells, directory, policy, executor, one_by_one=one_by_one)


def resume(directory: Path, policy: RecordingPolicy = DEFAULT, executor: Executor | None = None) -> Sweep:
    """Go on with a sweep: its finished cells are loaded, the others gone on with or begun; failed ones are tried again.

    Args:
        executor: as for `record`.

    Raises:
        UsageError: a plugin of a cell is not installed, or came from Python; the call that began it goes on with it.
        StoppedError, MamlzooError: as `record`.
    """
    axes, saved = document.read(directory / NAME)
    if all(cell.run is not None for cell in saved):
        with contextlib.suppress(MamlzooError):  # a run of it is damaged or gone, and is made again
            return load(directory)
    candidates = []
    for cell in saved:
        experiment = None
        if cell.config is not None:
            experiment = _experiment(cell.config, directory)
            check_data(experiment, cell.config)
        candidates.append(Candidate(cell.values, experiment, cell.error if experiment is None else None, cell.config))
    one_by_one = run_directory.read_document(directory / NAME).get("one_by_one") is True
    return record(Grid(axes, candidates), directory, policy, one_by_one=one_by_one, executor=executor)


def _experiment(config: Mapping[str, Any], directory: Path) -> Experiment:
    try:
        return experiment_from(config)
    except UsageError as error:
        how = f"the `sweep` that began {directory} goes on with it, called again with the same `out`"
        raise UsageError(f"{error}; {how}") from error


def load(directory: Path) -> Sweep:
    """A sweep all of whose cells are finished or failed.

    Raises:
        UsageError: cells are still to be run.
        MamlzooError: it, or a run of it, cannot be read.
    """
    axes, saved = document.read(directory / NAME)
    waiting = sum(cell.run is None and cell.error is None for cell in saved)
    if waiting:
        left = f"{waiting} of {count(len(saved), 'cell')} being left"
        raise UsageError(f"{directory} is not finished, {left}; `{resume_command(directory)}` goes on with it")
    cells = []
    for cell in saved:
        found = Cell(cell.values, cell.config, error=cell.error)
        if cell.run is not None and cell.config is not None:
            result = run_directory.load(_there(directory, cell.run))
            if experiment_digest(result.config) != experiment_digest(cell.config) or not result.validation:
                raise MamlzooError(f"{result.run_dir} holds another experiment than {directory / NAME} says")
            found = replace(found, scores=Scores.of(result), run_dir=result.run_dir)
        cells.append(found)
    return Sweep(axes, cells)


def runs(directory: Path) -> list[Path]:
    """The run directories of the cells that are finished.

    Raises:
        MamlzooError: it cannot be read, or one of them is gone.
    """
    return [_there(directory, cell.run) for cell in document.read(directory / NAME)[1] if cell.run is not None]


def _there(directory: Path, run: str) -> Path:
    if not run_directory.is_run(directory / run):
        raise MamlzooError(f"{directory / run} is not there; `{resume_command(directory)}` makes it again")
    return directory / run


def is_sweep(directory: Path) -> bool:
    """Whether it is a sweep's directory, finished or not."""
    return (directory / NAME).is_file()


def _run(
    grid: Grid,
    cells: list[Cell],
    directory: Path,
    policy: RecordingPolicy,
    executor: Executor | None,
    *,
    one_by_one: bool,
) -> Sweep:
    sweep, experiments = Sweep(grid.axes, cells), [candidate.experiment for candidate in grid.candidates]
    waiting = [at for at, cell in enumerate(cells) if cell.error is None and not _is_finished(cell)]
    groups = [[at] for at in waiting] if one_by_one else _groups(cells, experiments, waiting, policy)
    over = _spread(sweep, cells, experiments, groups, directory, policy, executor, one_by_one=one_by_one)
    waiting = [at for at in waiting if at not in over]
    led_by = {group[0]: group for group in groups}
    for at in range(len(cells)):
        if policy.stop():
            raise StoppedError(resume_command(directory))
        if at in over:
            continue
        group = led_by.get(at, [])
        if group:
            waiting = [*group, *(later for later in waiting if later not in group)]
            left = [experiments[later] for later in waiting]
            policy.begins(Part("cell", at + 1, len(cells), sweep.label(cells[at]), left, len(group)))
            waiting = waiting[len(group) :]
        if cells[at].error is None:
            own = group or [at]
            ended = _ended([cells[one] for one in own], [grid.candidates[one] for one in own], directory, policy)
            for one, cell in zip(own, ended, strict=True):
                cells[one] = cell
        over.update(group)
        if group:
            _write(sweep, directory, one_by_one=one_by_one)
        for one in group or ([at] if cells[at].error is not None else []):
            policy.says(_line(sweep, one))
    _write(sweep, directory, one_by_one=one_by_one)
    if sweep.finished:
        run_directory.write_figures(sweep, directory, policy.draw)
    return sweep


def _spread(
    sweep: Sweep,
    cells: list[Cell],
    experiments: Sequence[Experiment | None],
    groups: Sequence[Sequence[int]],
    directory: Path,
    policy: RecordingPolicy,
    executor: Executor | None,
    *,
    one_by_one: bool,
) -> set[int]:
    """Groups of a sweep's cells that an executor makes; which are over by that."""
    over = set[int]()
    places = {cells[at].run_dir: at for group in groups for at in group}

    def ended(run: Path, error: MamlzooError | None) -> None:
        at = places[run]
        cells[at] = _loaded(cells[at]) if error is None else replace(cells[at], error=first_line(error))
        over.add(at)
        _write(sweep, directory, one_by_one=one_by_one)
        policy.says(_line(sweep, at))

    making.make(executor, _jobs(sweep, experiments, groups), policy, ended)
    return over


def _jobs(sweep: Sweep, experiments: Sequence[Experiment | None], groups: Sequence[Sequence[int]]) -> list[Job]:
    """Groups of cells as an executor makes them."""
    found = []
    for group in groups:
        runs = [(experiments[at], sweep.cells[at].run_dir) for at in group]
        known = [(experiment, run) for experiment, run in runs if experiment is not None and run is not None]
        name = sweep.label(sweep.cells[group[0]])
        part = Part("cell", group[0] + 1, len(sweep.cells), name, [known[0][0]], len(known))
        found.append(Job(part, known))
    return found


def _groups(
    cells: Sequence[Cell], experiments: Sequence[Experiment | None], waiting: Sequence[int], policy: RecordingPolicy
) -> list[list[int]]:
    """The cells still to be run, in groups that are trained side by side."""
    own, configs, places = [], [], list[Hashable]()
    for at in waiting:
        cell, experiment = cells[at], experiments[at]
        assert experiment is not None
        assert cell.config is not None
        assert cell.run_dir is not None
        own.append(experiment)
        configs.append(cell.config)
        try:
            places.append(standing.place_of(experiment, cell.run_dir))
        except MamlzooError:  # said when its turn comes
            places.append(cell.run_dir)
    if len(own) > 1:
        policy.progress(own[0], Notice("trying which cells go side by side"))
    return [[waiting[at] for at in group] for group in companions(own, configs, places)]


def _is_finished(cell: Cell) -> bool:
    return cell.run_dir is not None and run_directory.is_finished(cell.run_dir)


def _line(sweep: Sweep, at: int) -> str:
    """Which cell ended, and how."""
    return f"cell {at + 1} of {len(sweep.cells)}: {sweep.label(sweep.cells[at])}: {_outcome(sweep.cells[at])}"


def _outcome(cell: Cell) -> str:
    """How a cell ended, in one line."""
    scores = cell.scores
    if scores is None:
        return f"failed: {cell.error}"
    left_out = f", {len(scores.diverged)} of {count(scores.seeds, 'seed')} diverged" if scores.diverged else ""
    return f"valid {scores.metric} {scores.valid}, test {scores.metric} {scores.test}{left_out}"


def _loaded(cell: Cell) -> Cell:
    """A cell whose run is finished."""
    assert cell.run_dir is not None
    try:
        return replace(cell, scores=Scores.of(run_directory.load(cell.run_dir)))
    except MamlzooError as error:
        return replace(cell, error=first_line(error))


def _ended(
    cells: Sequence[Cell], candidates: Sequence[Candidate], directory: Path, policy: RecordingPolicy
) -> list[Cell]:
    """The cells once they have been run side by side, or loaded."""
    if len(cells) == 1:
        return [_ended_alone(cells[0], candidates[0], directory, policy)]
    runs = []
    for cell, candidate in zip(cells, candidates, strict=True):
        assert candidate.experiment is not None
        assert cell.run_dir is not None
        runs.append((candidate.experiment, cell.run_dir))
    try:
        results = recording.side_by_side(runs, policy)
    except StoppedError:
        raise StoppedError(resume_command(directory)) from None
    except LoggerError:
        raise
    except MamlzooError:  # of one of them, which fails again alone
        pairs = zip(cells, candidates, strict=True)
        return [_ended_alone(cell, candidate, directory, policy) for cell, candidate in pairs]
    return [replace(cell, scores=Scores.of(result)) for cell, result in zip(cells, results, strict=True)]


def _ended_alone(cell: Cell, candidate: Candidate, directory: Path, policy: RecordingPolicy) -> Cell:
    """A cell once it has been run, or loaded."""
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
    except LoggerError:
        raise
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
                there_is = cell.run_dir is not None and run_directory.is_run(cell.run_dir)
                cell = replace(cell, error=first_line(error), run_dir=cell.run_dir if there_is else None)
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


def _write(sweep: Sweep, directory: Path, *, one_by_one: bool) -> None:
    how = {"one_by_one": True} if one_by_one else {}
    try:
        files.write_json(directory / NAME, {"format": run_directory.FORMAT} | how | sweep.document())
        files.write_text(directory / "sweep.csv", sweep.csv())
    except OSError as error:
        raise MamlzooError(f"{directory} could not be written: {error.strerror or error}") from error
