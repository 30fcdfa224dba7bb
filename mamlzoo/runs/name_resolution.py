"""From names, classes, instances and modules to experiments: every combination of several."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from types import MappingProxyType
from typing import Any, TypeVar, cast

from torch import nn

from mamlzoo.contracts import options
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.contracts.plugins import KINDS, MetaAlgorithm, Model, Plugin, Task
from mamlzoo.discovery.entry_points import installed
from mamlzoo.discovery.torch_modules import model_of
from mamlzoo.errors import UsageError
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.settings import BY_NAME, MOST_SEEDS, VERBATIM, Settings
from mamlzoo.runs.setup import rehearse

P = TypeVar("P", bound=Plugin)
TaskLike = str | Task | type[Task]
ModelLike = str | Model | type[Model] | nn.Module | Callable[..., nn.Module]
AlgorithmLike = str | MetaAlgorithm | type[MetaAlgorithm]


def experiments(
    tasks: Iterable[TaskLike],
    models: Iterable[ModelLike],
    algorithms: Iterable[AlgorithmLike],
    /,
    *,
    options: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 1,
    **settings: Any,
) -> list[Experiment]:
    """Every combination, checked to work before the first one is run.

    Raises:
        UsageError: as `run`.
    """
    several = combined(tasks, models, algorithms, options=options, seeds=seeds, **settings)
    for experiment in several:
        rehearse(experiment)
    return several


def combined(
    tasks: Iterable[TaskLike],
    models: Iterable[ModelLike],
    algorithms: Iterable[AlgorithmLike],
    /,
    *,
    options: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 1,
    **settings: Any,
) -> list[Experiment]:
    """Every combination; whether it works is not tried.

    An option goes to every plugin of its kind that has it; it must be known to one at least.

    Raises:
        UsageError: there is no such plugin, option or setting, or a value is out of range.
    """
    given = _by_kind(options or {})
    chosen_tasks = _resolve_all(Task, tasks, given["task"])  # type: ignore[type-abstract]
    chosen_models = _resolve_all(Model, map(as_model, models), given["model"])  # type: ignore[type-abstract]
    chosen_algorithms = _resolve_all(MetaAlgorithm, algorithms, given["algorithm"])  # type: ignore[type-abstract]
    settings = with_named(settings, given)
    common = budget(seeds, settings, [*chosen_tasks, *chosen_models, *chosen_algorithms])
    return [Experiment(*plugins, common) for plugins in product(chosen_tasks, chosen_models, chosen_algorithms)]


def plugin(kind: str, like: Any, given: Mapping[str, Any] = MappingProxyType({})) -> Plugin:
    """A plugin from its name, its class or an instance; a model also from a module or a function that makes one.

    Args:
        given: options by name, of which it takes those that it has.

    Raises:
        UsageError: it is none of these, or a value is out of range.
    """
    resolved: Plugin = _resolve(KINDS[kind], as_model(like) if kind == "model" else like, given)
    return resolved


def declared(kind: str, like: Any) -> Plugin | type[Plugin]:
    """What `plugin` makes one from: the class of a name, which may need options to be made; an instance as it is.

    Raises:
        UsageError: it is none of what `plugin` takes.
    """
    found: Plugin | type[Plugin] = _find(KINDS[kind], as_model(like) if kind == "model" else like)
    return found


def budget(seeds: int | Sequence[int], given: Mapping[str, Any], plugins: Sequence[Plugin] = ()) -> Settings:
    """Settings from how many seeds, or which, and the others by name.

    Args:
        plugins: whose options may have been taken for settings.

    Raises:
        UsageError: there is no such setting, or a value is out of range.
    """
    if isinstance(seeds, numbers.Integral):
        count = int(seeds)
        if not 1 <= count <= MOST_SEEDS:
            bound = f"most {MOST_SEEDS:,}" if count > 1 else "least 1"
            raise UsageError(f"settings: seeds must be at {bound}, not {shown(count)}")
        seeds = range(count)
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise UsageError(f"settings: seeds must be how many, or a list of which, not {shown(seeds)}")
    settings = options.options_of(Settings)
    for name in (name.replace("-", "_") for name in given):
        for plugin in plugins if name not in settings else ():
            if name in options.options_of(type(plugin)):
                own = f"{plugin.kind}.{name}"
                raise UsageError(
                    f"a run has no option '{name}', {plugin.kind} '{plugin.name}' has: options={{'{own}': …}}"
                )
    return options.make(Settings, {"seeds": tuple(islice(seeds, MOST_SEEDS + 1)), **given}, "a run")


def several(given: Any) -> Sequence[Any]:
    """What was given, one or a list of several, as several."""
    return given if isinstance(given, list | tuple) else [given]


def with_named(settings: Mapping[str, Any], given: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings, and the values that options as `optimizer.weight_decay` give to those that hold values by name.

    Args:
        given: by how the options begin, by name.

    Raises:
        UsageError: something is given both ways.
    """
    found = {name.replace("-", "_"): value for name, value in settings.items()}
    for kind, setting in BY_NAME.items():
        there = found.get(setting, {})
        twice = [name for name in given[kind] if isinstance(there, Mapping) and name in there]
        if twice:
            raise UsageError(f"{kind}.{twice[0]} is given twice: as an option, and in {setting}")
        if given[kind]:
            found[setting] = {**there, **given[kind]}
    return found


def split_key(key: str) -> tuple[str, str]:
    """What an option's key begins with, a kind of plugin or a setting that holds values by name; and the rest.

    Raises:
        UsageError: it begins with something else.
    """
    kind, dot, name = key.partition(".")
    kind = kind.replace("-", "_")
    if not dot or kind not in (*KINDS, *BY_NAME):
        *others, last = (f"'{one}.'" for one in (*KINDS, *BY_NAME))
        raise UsageError(f"option '{key}' must begin with {', '.join(others)} or {last}")
    return kind, name if kind in VERBATIM else name.replace("-", "_")


def _by_kind(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    split: dict[str, dict[str, Any]] = {kind: {} for kind in (*KINDS, *BY_NAME)}
    for key, value in given.items():
        kind, name = split_key(key)
        split[kind][name] = value
    return split


def _resolve_all(base: type[P], several: Iterable[str | P | type[P]], given: Mapping[str, Any]) -> list[P]:
    plugins = [_resolve(base, like, given) for like in several]
    for name, value in given.items():
        if not any(name in options.options_of(type(plugin)) for plugin in plugins):
            options.make(type(plugins[0]), {name: value}, f"{base.kind} '{plugins[0].name}'")  # says what there is
    return plugins


def _resolve(base: type[P], like: str | P | type[P], given: Mapping[str, Any]) -> P:
    found = _find(base, like)
    if isinstance(found, type):
        return options.make(found, _known(found, given), f"{base.kind} '{found.name}'")
    changed = _known(type(found), given)
    return cast(P, replace(cast(Any, found), **changed)) if changed else found


def _find(base: type[P], like: str | P | type[P]) -> P | type[P]:
    if isinstance(like, str):
        return cast(type[P], installed().get(base.kind, like))
    if isinstance(like, base) or (isinstance(like, type) and issubclass(like, base)):
        return like
    raise UsageError(f"a {base.kind} must be a name, a mamlzoo.{base.__name__} or its class, not {like!r}")


def _known(cls: type[Plugin], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in options.options_of(cls)}


def as_model(like: ModelLike) -> str | Model | type[Model]:
    """A module, or a function that makes one, as a Model."""
    if isinstance(like, str | Model) or (isinstance(like, type) and issubclass(like, Model)):
        return like
    return model_of(cast(Any, like))()
