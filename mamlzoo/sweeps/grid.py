"""From axes to cells: what is to be run for each combination of their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, cast

from mamlzoo.contracts import options
from mamlzoo.contracts.options import Option
from mamlzoo.contracts.plugins import KINDS, MetaAlgorithm, Model, Plugin, Task
from mamlzoo.engine.optimizer_options import options_of_optimizer, unknown
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.settings import BY_NAME, OF_SCHEDULES, VERBATIM, Settings
from mamlzoo.runs.name_resolution import budget, declared, plugin, split_key, with_named
from mamlzoo.sweeps import axes as swept
from mamlzoo.sweeps.axes import Axis

Given = Plugin | type[Plugin]
"""A plugin, or a class that each cell makes one of, with the cell's options: it may need one to be made at all."""


@dataclass(frozen=True)
class Candidate:
    """What a cell is to run.

    Attributes:
        values: by axis; without those that its plugins do not have.
        experiment: None if there is no such experiment; `error` says why, in one line.
        config: that it was recorded with, if it was; it may be of other versions than are installed now.
    """

    values: Mapping[str, Any]
    experiment: Experiment | None
    error: str | None = None
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Grid:
    """Axes, and what is to be run for each combination of their values."""

    axes: Sequence[Axis]
    candidates: Sequence[Candidate]


def grid_of(
    axes: Mapping[str, Iterable[Any] | str],
    chosen: Mapping[str, Sequence[Any]],
    options: Mapping[str, Any],
    seeds: int | Sequence[int],
    settings: Mapping[str, Any],
) -> Grid:
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
        key = _normal(key)
        if key in {*map(_normal, options), *map(_normal, settings)}:
            raise UsageError(f"{key} is given twice: as an axis, and as the same for all cells")
        found[key] = () if key.startswith("optimizer.") else _checked(key, given, plugins)
    given_options = {_normal(key): [value] for key, value in options.items()}
    optimizers = found.get("optimizer", (settings.get("optimizer", Settings().optimizer),))
    for key, given in given_options.items():
        found[key] = _checked(key, given, plugins, optimizers)
    for key, given in axes.items():  # now that it is known of which optimisers
        if _normal(key).startswith("optimizer."):
            found[_normal(key)] = _checked(_normal(key), given, plugins, optimizers)
    cells = prod(map(len, found.values()))
    if cells > swept.LIMIT:
        raise UsageError(f"{cells:,} cells; a sweep has at most {swept.LIMIT:,}")
    several = {key: values for key, values in found.items() if len(values) > 1}
    if not several:
        raise UsageError(
            "nothing has several values; name some, as in --meta-batch 4,25, or use `mamlzoo run` for a single run"
        )
    names, schedules = short_names(several), found.get("schedule", ())
    candidates: dict[Any, tuple[dict[str, Any], dict[str, Given]]] = {}
    for values in product(*found.values()):
        given = dict(zip(found, values, strict=True))
        parts = {kind: plugins[kind][given[kind]] for kind in KINDS}
        own = {**settings, **given}
        had = {
            key: value for key, value in given.items() if _has(key, parts, own) and _is_of_schedule(key, own, schedules)
        }
        candidates.setdefault(tuple(had.items()), (had, parts))
    return Grid(
        [Axis(key, names[key], values) for key, values in several.items()],
        [
            _candidate(
                parts,
                had,
                several,
                seeds,
                {key: value for key, value in settings.items() if _is_of_schedule(_normal(key), had, schedules)},
            )
            for had, parts in candidates.values()
        ],
    )


def _candidate(
    parts: Mapping[str, Given],
    had: Mapping[str, Any],
    several: Mapping[str, Any],
    seeds: int | Sequence[int],
    settings: Mapping[str, Any],
) -> Candidate:
    values = {key: value for key, value in had.items() if key in several}
    own: dict[str, dict[str, Any]] = {kind: {} for kind in (*KINDS, *BY_NAME)}
    other = dict(settings)
    for key, value in had.items():
        kind, dot, name = key.partition(".")
        if dot:
            own[kind][name] = value
        elif key not in KINDS:
            other[key] = value
    try:
        other = with_named(other, own)
        task, model, algorithm = (plugin(kind, parts[kind], own[kind]) for kind in KINDS)
        common = budget(seeds, other, (task, model, algorithm))
        if common.validation_interval is None:  # what chooses must be measured, at the end at least
            common = replace(common, validate_every=max(1, common.iterations))
        experiment = Experiment(cast(Task, task), cast(Model, model), cast(MetaAlgorithm, algorithm), common)
    except MamlzooError as error:
        return Candidate(values, None, first_line(error))
    return Candidate(values, experiment)


def _normal(key: str) -> str:
    """A key as it is compared and kept; a group of θ is called what it is called."""
    kind, dot, name = key.partition(".")
    kind = kind.replace("-", "_")
    return f"{kind}.{name}" if dot and kind in VERBATIM else key.replace("-", "_")


def _checked(
    key: str, given: Any, plugins: Mapping[str, Mapping[str, Given]], optimizers: Sequence[str] = ()
) -> tuple[Any, ...]:
    """The values of an axis, as the first of its plugins that takes them declares them."""
    refused = None
    for option in _declared(key, plugins, optimizers):
        try:
            return swept.values(option, given)
        except UsageError as error:
            refused = refused or error
    raise UsageError(f"{key} {refused}")


def _declared(key: str, plugins: Mapping[str, Mapping[str, Given]], optimizers: Sequence[str] = ()) -> list[Option]:
    if "." not in key:
        if key in swept.FIXED or key in KINDS:
            how = f"several are given as {key}=[…]" if key in KINDS else "it is the same for all cells"
            raise UsageError(f"{key} cannot stand among the axes; {how}")
        return [_option(Settings, key, "a run")]
    kind, name = split_key(key)
    if kind == "outer_lr":
        return [_option(Settings, kind, "a run")]
    if kind == "network":
        return [Option(name, "", None, str)]
    if kind == "optimizer":
        return _of_optimizers(name, optimizers)
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


def _of_optimizers(name: str, optimizers: Sequence[str]) -> list[Option]:
    """The option of those optimisers that have it; of none, the first says what there is."""
    known = [one for one in optimizers if _is_known(one)]
    if not known:
        options_of_optimizer(optimizers[0])  # raises
    having = [options_of_optimizer(one) for one in known]
    found = [declared[name] for declared in having if name in declared]
    if not found:
        raise UsageError(unknown(known[0], name))
    return found


def _is_known(optimizer: str) -> bool:
    try:
        options_of_optimizer(optimizer)
    except UsageError:
        return False
    return True


def _has(key: str, parts: Mapping[str, Given], given: Mapping[str, Any]) -> bool:
    """Whether a cell's plugins or its optimiser have an option."""
    kind, dot, name = key.partition(".")
    if kind == "optimizer" and dot:
        optimizer = given.get("optimizer", Settings().optimizer)
        return not _is_known(optimizer) or name in options_of_optimizer(optimizer)
    return not dot or kind in VERBATIM or name in options.options_of(_class(parts[kind]))


def _is_of_schedule(key: str, given: Mapping[str, Any], swept: Sequence[str]) -> bool:
    """Whether a cell's schedule has a setting; if none of those swept has it, none goes without: it is refused."""
    known = OF_SCHEDULES.get(key, ())
    return not set(known) & set(swept) or given["schedule"] in known


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


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """`inner_lr` for `algorithm.inner_lr`, where that is clear."""
    lasts = {key: key.rpartition(".")[2] for key in keys}
    return {key: last if list(lasts.values()).count(last) == 1 else key for key, last in lasts.items()}


def first_line(error: MamlzooError) -> str:
    return str(error).partition("\n")[0]
