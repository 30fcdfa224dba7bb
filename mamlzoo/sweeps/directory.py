"""Run a sweep: every combination of several values, each an experiment recorded in a directory of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, cast

from mamlzoo import files
from mamlzoo.contracts import options
from mamlzoo.contracts.options import Option
from mamlzoo.contracts.plugins import KINDS, MetaAlgorithm, Model, Plugin, Task
from mamlzoo.engine.preparation import Notice
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.settings import Settings
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import recording
from mamlzoo.runs.config import check_data, config_of
from mamlzoo.runs.digests import experiment_digest
from mamlzoo.runs.policy import DEFAULT, Manner, StoppedError
from mamlzoo.runs.resolution import budget, declared, plugin
from mamlzoo.runs.setup import rehearse
from mamlzoo.runs.watching import Part
from mamlzoo.sweeps import axes as swept
from mamlzoo.sweeps.axes import Axis
from mamlzoo.sweeps.sweep import Cell, Scores, Sweep
from mamlzoo.tables import count

NAME = "sweep.json"
AGAIN = "the same command again"
DEFINING = (*KINDS, "settings")
"""What of a config tells one cell from another; the rest stands in the cell's own directory."""
LONGEST = 100
"""Characters of a directory's name, at most."""

Given = Plugin | type[Plugin]
"""A plugin, or a class that each cell makes one of, with the cell's options: it may need one to be made at all."""


@dataclass(frozen=True)
class Trial:
    """What a cell is to run.

    Attributes:
        values: by axis; without those that its plugins do not have.
        experiment: None if there is no such experiment; `error` says why, in one line.
    """

    values: Mapping[str, Any]
    experiment: Experiment | None
    error: str | None = None


@dataclass(frozen=True)
class Plan:
    """Axes, and what is to be run for each combination of their values."""

    axes: Sequence[Axis]
    trials: Sequence[Trial]


def plan(
    axes: Mapping[str, Iterable[Any] | str],
    chosen: Mapping[str, Sequence[Any]],
    options: Mapping[str, Any],
    seeds: int | Sequence[int],
    settings: Mapping[str, Any],
) -> Plan:
    """Every combination, each once, in the order in which the values were given; nothing is tried yet.

    Args:
        axes: values by option or setting; one alone is no axis, but the same for all cells.
        chosen: plugins by kind; several of a kind are an axis.
        options, settings: what is the same for all cells, by name.

    Raises:
        UsageError: an unknown option or setting, a value out of range, nothing with several values, or too many cells.
    """
    plugins = {kind: _named([declared(kind, like) for like in chosen[kind]]) for kind in KINDS}
    found: dict[str, tuple[Any, ...]] = {kind: tuple(several) for kind, several in plugins.items()}
    for key, given in axes.items():
        key = key.replace("-", "_")
        if key in {*options, *settings}:
            raise UsageError(f"{key} is given twice: as an axis, and as the same for all cells")
        found[key] = _checked(key, given, plugins)
    for key, value in options.items():
        found[key.replace("-", "_")] = _checked(key.replace("-", "_"), [value], plugins)
    cells = prod(map(len, found.values()))
    if cells > swept.LIMIT:
        raise UsageError(f"{cells:,} cells; a sweep has at most {swept.LIMIT:,}")
    several = {key: values for key, values in found.items() if len(values) > 1}
    if not several:
        raise UsageError(
            "nothing has several values; name some, as in --meta-batch 4,25, or use `mamlzoo run` for a single run"
        )
    names = _short(several)
    trials: dict[Any, tuple[dict[str, Any], dict[str, Given]]] = {}
    for values in product(*found.values()):
        given = dict(zip(found, values, strict=True))
        parts = {kind: plugins[kind][given[kind]] for kind in KINDS}
        had = {key: value for key, value in given.items() if _has(key, parts)}
        trials.setdefault(tuple(had.items()), (had, parts))
    return Plan(
        [Axis(key, names[key], values) for key, values in several.items()],
        [_trial(parts, had, several, seeds, settings) for had, parts in trials.values()],
    )


def record(plan: Plan, directory: Path, manner: Manner = DEFAULT) -> Sweep:
    """Run the cells one after another into a directory, new or of an earlier sweep, whose finished cells are kept.

    Raises:
        UsageError: the directory holds something else, or no cell can work; nothing is left behind then.
        StoppedError: it was asked to stop; the same call goes on.
        MamlzooError: another process works on the directory, or it cannot be written.
    """
    cells = None
    if not is_sweep(directory):
        with run_directory.new_directory(directory, kept=False) as temporary:
            cells = _tried(plan, directory, manner)
            _write(Sweep(plan.axes, cells), temporary)
    with files.locked(directory):
        cells = _tried(plan, directory, manner) if cells is None else cells
        return _run(plan, cells, directory, manner)


def is_sweep(directory: Path) -> bool:
    """Whether it is a sweep's directory, finished or not."""
    return (directory / NAME).is_file()


def _run(plan: Plan, cells: list[Cell], directory: Path, manner: Manner) -> Sweep:
    sweep = Sweep(plan.axes, cells)
    waiting = [at for at, cell in enumerate(cells) if cell.error is None and not _is_finished(cell)]
    for at, (cell, trial) in enumerate(zip(list(cells), plan.trials, strict=True)):
        if manner.stop():
            raise StoppedError(AGAIN)
        runs = waiting[:1] == [at]
        if runs:
            left = [plan.trials[later].experiment for later in waiting]
            manner.begins(Part("cell", at + 1, len(cells), sweep.label(cell), left))
            waiting.pop(0)
        if cell.error is None:
            cells[at] = _ended(cell, trial, directory, manner)
        if runs:
            _write(sweep, directory)
        if runs or cell.error is not None:
            manner.says(f"cell {at + 1} of {len(cells)}: {sweep.label(cell)}: {_outcome(cells[at])}")
    _write(sweep, directory)
    if sweep.finished:
        run_directory.write_figures(sweep, directory, manner.draw)
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


def _ended(cell: Cell, trial: Trial, directory: Path, manner: Manner) -> Cell:
    """The cell once it has been run, or loaded."""
    assert trial.experiment is not None
    assert cell.run_dir is not None
    try:
        result = recording.record_or_resume(trial.experiment, cell.run_dir, manner)
    except StoppedError:
        raise StoppedError(AGAIN) from None
    except MamlzooError as error:
        return replace(cell, error=_line(error))
    return replace(cell, scores=Scores.of(result))


def _tried(plan: Plan, directory: Path, manner: Manner) -> list[Cell]:
    """A cell for each trial: where it is, or will be, recorded, or why it cannot work."""
    there = _recorded(directory) if directory.is_dir() else {}
    taken = {path.name for path in directory.iterdir()} if directory.is_dir() else set[str]()
    cells: list[Cell] = []
    for at, trial in enumerate(plan.trials, 1):
        cell = Cell(trial.values, None, error=trial.error)
        if trial.experiment is not None:
            try:
                cell = _placed(plan, trial, trial.experiment, directory, there, taken)
                if not _is_finished(cell):
                    manner.progress(trial.experiment, Notice(f"trying cell {at} of {len(plan.trials)}"))
                    rehearse(trial.experiment)
            except MamlzooError as error:
                cell = replace(cell, error=_line(error))
            if cell.run_dir is not None and run_directory.is_run(cell.run_dir):
                # Not the error of a cell: those that are still to come would be on other data than these.
                check_data(trial.experiment, run_directory.read_config(cell.run_dir))
        cells.append(cell)
    if all(cell.error is not None for cell in cells):
        raise UsageError(f"none of the {count(len(cells), 'cell')} can work: {cells[0].error}")
    return cells


def _placed(
    plan: Plan,
    trial: Trial,
    experiment: Experiment,
    directory: Path,
    there: Mapping[str, list[Path]],
    taken: set[str],
) -> Cell:
    config = config_of(experiment)
    digest, cell = experiment_digest(config), Cell(trial.values, {key: config[key] for key in DEFINING})
    if there.get(digest):  # two functions from Python may have one config; each takes its own directory
        return replace(cell, run_dir=there[digest].pop(0))
    stem = re.sub(r"[^\w.=]+", "-", Sweep(plan.axes, []).label(cell)).strip("-")[:LONGEST]
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


def _trial(
    parts: Mapping[str, Given],
    had: Mapping[str, Any],
    several: Mapping[str, Any],
    seeds: int | Sequence[int],
    settings: Mapping[str, Any],
) -> Trial:
    values = {key: value for key, value in had.items() if key in several}
    own: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    other = dict(settings)
    for key, value in had.items():
        kind, dot, name = key.partition(".")
        if dot:
            own[kind][name] = value
        elif key not in KINDS:
            other[key] = value
    try:
        task, model, algorithm = (plugin(kind, parts[kind], own[kind]) for kind in KINDS)
        common = budget(seeds, other, (task, model, algorithm))
        if common.validation_interval is None:  # what chooses must be measured, at the end at least
            common = replace(common, validate_every=max(1, common.iterations))
        experiment = Experiment(cast(Task, task), cast(Model, model), cast(MetaAlgorithm, algorithm), common)
    except MamlzooError as error:
        return Trial(values, None, _line(error))
    return Trial(values, experiment)


def _checked(key: str, given: Any, plugins: Mapping[str, Mapping[str, Given]]) -> tuple[Any, ...]:
    """The values of an axis, as the first of its plugins that takes them declares them."""
    refused = None
    for option in _declared(key, plugins):
        try:
            return swept.values(option, given)
        except UsageError as error:
            refused = refused or error
    raise UsageError(f"{key} {refused}")


def _declared(key: str, plugins: Mapping[str, Mapping[str, Given]]) -> list[Option]:
    kind, dot, name = key.partition(".")
    if not dot:
        if key in swept.FIXED or key in KINDS:
            how = f"several are given as {key}=[…]" if key in KINDS else "it is the same for all cells"
            raise UsageError(f"{key} cannot stand among the axes; {how}")
        return [_option(Settings, key, "a run")]
    if kind not in KINDS:
        raise UsageError(f"option '{key}' must begin with 'task.', 'model.' or 'algorithm.'")
    several = list(plugins[kind].values())
    known = [one for one in several if name in options.options_of(_class(one))]
    return [
        _option(_class(one), name, f"{kind} '{one.name}'")  # of none that has it, the first says what there is
        for one in known or several[:1]
    ]


def _option(cls: type, name: str, where: str) -> Option:
    declared = options.options_of(cls)
    if name not in declared:
        options.make(cls, {name: None}, where)  # raises, and says what there is
    return declared[name]


def _has(key: str, parts: Mapping[str, Given]) -> bool:
    kind, dot, name = key.partition(".")
    return not dot or name in options.options_of(_class(parts[kind]))


def _class(given: Given) -> type[Plugin]:
    return given if isinstance(given, type) else type(given)


def _named(several: Sequence[Given]) -> dict[str, Given]:
    """Plugins by name; of several of one name the later ones have a number."""
    named: dict[str, Given] = {}
    for one in several:
        if one in named.values():
            continue
        count = sum(other.name == one.name for other in named.values())
        named[f"{one.name} #{count + 1}" if count else one.name] = one
    return named


def _short(keys: Iterable[str]) -> dict[str, str]:
    """`inner_lr` for `algorithm.inner_lr`, where that is clear."""
    lasts = {key: key.rpartition(".")[2] for key in keys}
    return {key: last if list(lasts.values()).count(last) == 1 else key for key, last in lasts.items()}


def _line(error: MamlzooError) -> str:
    return str(error).partition("\n")[0]
