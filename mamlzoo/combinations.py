"""Run combinations: from names, classes, instances and modules to experiments, and their results."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from torch import nn

from mamlzoo import comparing, options, recording
from mamlzoo.comparison import Comparison
from mamlzoo.differentiation import differentiating
from mamlzoo.discovery.given import model_of
from mamlzoo.discovery.registry import installed
from mamlzoo.errors import UsageError
from mamlzoo.experiment import Experiment, Listener
from mamlzoo.interfaces import KINDS, MetaAlgorithm, Model, Plugin, Task
from mamlzoo.numerals import shown
from mamlzoo.recording import Interval, Manner
from mamlzoo.result import Result
from mamlzoo.settings import MOST_SEEDS, Settings
from mamlzoo.watching import watched

P = TypeVar("P", bound=Plugin)
TaskLike = str | Task | type[Task]
ModelLike = str | Model | type[Model] | nn.Module | Callable[..., nn.Module]
AlgorithmLike = str | MetaAlgorithm | type[MetaAlgorithm]


@differentiating
def run(
    task: TaskLike = "sine",
    model: ModelLike = "mlp",
    algorithm: AlgorithmLike = "maml",
    *,
    options: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 1,
    out: str | Path | None = None,
    checkpoint_every: str = "30s",
    progress: bool | Listener | None = None,
    **settings: Any,
) -> Result:
    """Train and test one combination.

    Args:
        task, model, algorithm: a plugin's name, its class, or an instance; a name may be one in a file, as
            "net.py:Net". The model also any `torch.nn.Module`, or a function that makes one, from a Spec or from
            nothing.
        options: of plugins given by name or class, as the flags spell them: {"task.shots": 5}.
        seeds: how many (0, 1, …), or which.
        out: a directory to record the run in as it goes, so that `resume` can go on with it; None: nothing is written.
        checkpoint_every: how often it is written down there: meta-steps, as "200", or time, as "30s".
        progress: True for a bar and a line with the plan, in a terminal or a notebook; or a function, called with the
            experiment and every event: records, checkpoints, the choice of a plan.
        **settings: fields of `Settings`: iterations, meta_batch, outer_lr, …

    Raises:
        UsageError: something was asked for that cannot be.

    >>> result = run("scalar", "neuron", "maml", iterations=1, options={"algorithm.inner_lr": 0.1}, meta_batch=2,
    ...              optimizer="sgd", outer_lr=0.5, meta_reduction="sum")
    >>> round(result.meta["network"]["weight"].item(), 2)
    -1515.48
    """
    (experiment,) = experiments([task], [model], [algorithm], options=options, seeds=seeds, **settings)
    if out is None:
        return experiment.run(progress)
    with manner(checkpoint_every, progress) as how:
        return recording.record(experiment, Path(out), how)


@differentiating
def resume(
    directory: str | Path,
    *,
    task: TaskLike | None = None,
    model: ModelLike | None = None,
    algorithm: AlgorithmLike | None = None,
    progress: bool | Listener | None = None,
) -> Result:
    """Go on with a run where its last checkpoint stands, to the bits of a run never stopped; a finished one is loaded.

    Args:
        task, model, algorithm: what came from Python when the run began; its code is not in the directory.
        progress: as for `run`.

    Raises:
        UsageError: it is no run directory, or what came from Python is not given.
        MamlzooError: another process is writing it, or it is damaged beyond what a checkpoint can mend.
    """
    likes = {"task": task, "model": model, "algorithm": algorithm}
    given = {kind: plugin(kind, like) for kind, like in likes.items() if like is not None}
    with manner("30s", progress) as how:
        return recording.resume(Path(directory), how, given)


@differentiating
def compare(
    task: TaskLike | Sequence[TaskLike] = "sine",
    model: ModelLike | Sequence[ModelLike] = "mlp",
    algorithm: AlgorithmLike | Sequence[AlgorithmLike] = ("maml", "fomaml", "transfer", "scratch"),
    *,
    options: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 1,
    out: str | Path | None = None,
    checkpoint_every: str = "30s",
    progress: bool | Listener | None = None,
    **settings: Any,
) -> Comparison:
    """Train and test every combination of several tasks, models and algorithms; arguments as for `run`.

    A comparison that is recorded in a directory goes on there when `mamlzoo resume` is given it.
    """
    chosen = experiments(several(task), several(model), several(algorithm), options=options, seeds=seeds, **settings)
    if out is None:
        with watched(progress) as watcher:
            return comparing.run(chosen, watcher)
    with manner(checkpoint_every, progress) as how:
        return comparing.record(chosen, Path(out), how)


@contextmanager
def manner(checkpoint_every: str, progress: bool | Listener | None) -> Iterator[Manner]:
    """How runs from Python are recorded, and who watches them meanwhile.

    Raises:
        UsageError: `checkpoint_every` is neither meta-steps nor a time, or `progress` is no watcher.
    """
    interval = Interval.parse(checkpoint_every)
    with watched(progress) as watcher:
        yield Manner(interval, watcher, begins=watcher.begins, says=watcher.says)


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
        experiment.check()
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
    chosen_models = _resolve_all(Model, map(_as_model, models), given["model"])  # type: ignore[type-abstract]
    chosen_algorithms = _resolve_all(MetaAlgorithm, algorithms, given["algorithm"])  # type: ignore[type-abstract]
    common = budget(seeds, settings, [*chosen_tasks, *chosen_models, *chosen_algorithms])
    return [Experiment(*plugins, common) for plugins in product(chosen_tasks, chosen_models, chosen_algorithms)]


def plugin(kind: str, like: Any, given: Mapping[str, Any] = MappingProxyType({})) -> Plugin:
    """A plugin from its name, its class or an instance; a model also from a module or a function that makes one.

    Args:
        given: options by name, of which it takes those that it has.

    Raises:
        UsageError: it is none of these, or a value is out of range.
    """
    resolved: Plugin = _resolve(KINDS[kind], _as_model(like) if kind == "model" else like, given)
    return resolved


def declared(kind: str, like: Any) -> Plugin | type[Plugin]:
    """What `plugin` makes one from: the class of a name, which may need options to be made; an instance as it is.

    Raises:
        UsageError: it is none of what `plugin` takes.
    """
    found: Plugin | type[Plugin] = _find(KINDS[kind], _as_model(like) if kind == "model" else like)
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


def _by_kind(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    split: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for key, value in given.items():
        kind, dot, name = key.partition(".")
        if kind not in split or not dot:
            raise UsageError(f"option '{key}' must begin with 'task.', 'model.' or 'algorithm.'")
        split[kind][name.replace("-", "_")] = value
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


def _as_model(like: ModelLike) -> str | Model | type[Model]:
    """A module, or a function that makes one, as a Model."""
    if isinstance(like, str | Model) or (isinstance(like, type) and issubclass(like, Model)):
        return like
    return model_of(cast(Any, like))()
