"""Trained θ, wherever it lies: a run directory, a packed run, or a name in the zoo of what is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mamlzoo.discovery.entry_points import installed
from mamlzoo.discovery.failures import Origin
from mamlzoo.errors import MamlzooError, UsageError, did_you_mean
from mamlzoo.experiments.result import Result
from mamlzoo.experiments.trained_places import SUFFIX, ZOO, lasting
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import packed_run
from mamlzoo.runs.packed_run import PackedRun


class Entry(NamedTuple):
    """A trained θ of the zoo."""

    name: str
    packed: PackedRun
    origin: Origin


def result_of(place: str | Path) -> Result:
    """The result of a finished run, with its trained θ.

    Args:
        place: a run directory, a file of `mamlzoo pack`, or a name in the zoo; of a name that is also a path here the
            path is meant, and of `zoo:NAME` never.

    Raises:
        UsageError: it is none of these, or the run is not finished.
        MamlzooError: it is damaged, or a newer mamlzoo wrote it.
    """
    name = _zoo_name(place)
    if name is not None:
        return _entry(name).packed.result
    path = Path(place)
    is_file = path.is_file() or (path.name.endswith(SUFFIX) and not path.is_dir())
    return packed_run.read(path).result if is_file else run_directory.load(path)


def config_of(place: str | Path) -> Mapping[str, Any]:
    """The config of a run, be it finished or not.

    Raises:
        UsageError, MamlzooError: as `result_of`.
    """
    path = Path(place)
    return run_directory.read_config(path) if run_directory.is_run(path) else result_of(place).config


def packed_of(place: str | Path) -> PackedRun:
    """What a file of `mamlzoo pack` holds, or one of the zoo.

    Raises:
        UsageError: it is a directory, or there is neither.
        MamlzooError: as `result_of`.
    """
    name = _zoo_name(place)
    if name is not None:
        return _entry(name).packed
    if Path(place).is_dir():
        raise UsageError(f"{place} is a directory, and no packed run; `mamlzoo pack` makes one of a run directory")
    return packed_run.read(Path(place))


def title_of(place: str | Path) -> str:
    """What it is called: the name of the directory, of the file without its ending, or in the zoo."""
    name = _zoo_name(place)
    return name or Path(place).resolve().name.removesuffix(SUFFIX)


def entries() -> tuple[list[Entry], list[str]]:
    """The zoo by name, and a line for each that cannot be read."""
    found, lines = list[Entry](), list[str]()
    for name in sorted(installed().trained):
        try:
            found.append(_entry(name))
        except MamlzooError as error:
            lines.append(str(error))
    return found, lines


def _zoo_name(place: str | Path) -> str | None:
    text = lasting(str(place))
    return text.removeprefix(ZOO) if text.startswith(ZOO) else None


def _entry(name: str) -> Entry:
    known = installed().trained
    if name not in known:
        raise UsageError(
            f"{name} is no run directory and no packed run here, and no trained θ of the zoo is called so; "
            f"{did_you_mean(name, known)}"
        )
    file, origin = known[name]
    return Entry(name, packed_run.read(file), origin)
