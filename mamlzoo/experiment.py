"""Run experiments: task × model × algorithm and a budget in, a Result out."""

from __future__ import annotations

import copy
import inspect
import numbers
import platform
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, TypeVar, cast

import torch
from torch import nn

import mamlzoo
from mamlzoo import options, trees
from mamlzoo.engine.binding import Bound, bind_seeds
from mamlzoo.engine.evaluation import EvaluationRecord, evaluate
from mamlzoo.engine.optimizers import OuterOptimizer, optimizer_class
from mamlzoo.engine.plans import plan_named
from mamlzoo.engine.streams import TestSet, TrainingStream
from mamlzoo.engine.training import TrainingRecord, TrainingSettings, train
from mamlzoo.errors import MamlzooError, PluginError, UsageError
from mamlzoo.interfaces import KINDS, MetaAlgorithm, Model, Plugin, Spec, Task
from mamlzoo.registry import installed
from mamlzoo.result import Comparison, Evaluation, Result, Timing

P = TypeVar("P", bound=Plugin)
MAX_SEED = 2**63 - 1
"""The largest that `torch.manual_seed` takes."""
Event = TrainingRecord | EvaluationRecord
Listener = Callable[["Experiment", Event], None]
TaskLike = str | Task | type[Task]
ModelLike = str | Model | type[Model] | nn.Module | Callable[..., nn.Module]
AlgorithmLike = str | MetaAlgorithm | type[MetaAlgorithm]


@dataclass(frozen=True)
class Settings:
    """The budget and how it is spent; declared as plugins' options are, and shown by the same flags."""

    seeds: tuple[int, ...] = options.option((0,), "seeds, trained side by side", minimum=0, maximum=MAX_SEED)
    iterations: int = options.option(6000, "meta-steps: updates of θ", minimum=0)
    meta_batch: int = options.option(25, "episodes of a meta-step", minimum=1)
    outer_lr: float = options.option(1e-3, "learning rate of the outer loop", minimum=0)
    optimizer: str = options.option("adam", "optimiser of the outer loop, any of torch.optim")
    meta_reduction: Literal["mean", "sum"] = options.option("mean", "how a meta-batch's losses become one")
    test_tasks: int = options.option(1000, "test episodes, the same for everything compared", minimum=1)
    test_steps: int = options.option(10, "adaptation steps at test", minimum=0)
    test_seed: int = options.option(0, "which frozen set of test episodes", minimum=0, maximum=MAX_SEED)
    device: str = options.option("cpu", "where to compute, as torch names it: cpu, cuda, cuda:1")
    plan: Literal["vmap", "loop"] = options.option("vmap", "how: all tasks in one batched call, or one after another")

    def __post_init__(self) -> None:
        options.validate(self, "settings")
        if not self.seeds:
            raise UsageError("settings: seeds must name at least one")
        if len(set(self.seeds)) != len(self.seeds):
            raise UsageError(f"settings: seeds must differ, not {', '.join(map(str, self.seeds))}")
        optimizer_class(self.optimizer)
        plan_named(self.plan)


@dataclass(frozen=True)
class Experiment:
    """Everything that defines a run; `events` runs it."""

    task: Task
    model: Model
    algorithm: MetaAlgorithm
    settings: Settings = Settings()

    @property
    def name(self) -> str:
        """As in `sine × mlp × maml`."""
        return f"{self.task.name} × {self.model.name} × {self.algorithm.name}"

    def config(self) -> dict[str, Any]:
        """Names, options, settings and versions: what it takes to run this again."""
        plugins = {
            plugin.kind: {"name": plugin.name, "options": options.values(plugin), "registered": _registered(plugin)}
            for plugin in (self.task, self.model, self.algorithm)
        }
        versions = {"mamlzoo": mamlzoo.__version__, "torch": torch.__version__, "python": platform.python_version()}
        return plugins | {"settings": options.values(self.settings), "versions": versions}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Experiment:
        """The experiment that has this config.

        Raises:
            UsageError: a plugin or an option of it is not installed, or was brought along in Python.
        """
        for kind in KINDS:
            if not config[kind]["registered"]:
                raise UsageError(
                    f"{kind} '{config[kind]['name']}' was brought along in Python and is no plugin; use that"
                )
        task, model, algorithm = (
            installed().make(kind, config[kind]["name"], config[kind]["options"]) for kind in KINDS
        )
        settings = options.make(Settings, config["settings"], "settings")
        return cls(cast(Task, task), cast(Model, model), cast(MetaAlgorithm, algorithm), settings)

    def device(self) -> torch.device:
        """The device asked for.

        Raises:
            UsageError: it is not there.
        """
        try:
            device = torch.device(self.settings.device)
            torch.zeros(1, device=device).item()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
            raise UsageError(
                f"there is no device '{self.settings.device}' here; there are: {', '.join(there)}"
            ) from error
        return device

    def bind(self, dtype: torch.dtype = torch.float32) -> Bound:
        """The networks and θ⁰ of every seed.

        Raises:
            UsageError: the combination cannot work.
        """
        with self.blame("set-up"):
            return bind_seeds(self.task, self.model, self.algorithm, self.settings.seeds, self.device(), dtype)

    def check(self) -> None:
        """Try everything once, on one episode: what cannot work is said before anything is trained.

        Raises:
            UsageError, PluginError: it cannot work.
        """
        settings, device = replace(self.settings, seeds=self.settings.seeds[:1]), self.device()
        trial = replace(self, settings=settings)
        bound = trial.bind()
        with self.blame("a trial"):
            if self.algorithm.trains and settings.iterations:
                OuterOptimizer(settings.optimizer, settings.outer_lr, trees.leaves(bound.meta))
                (episodes,) = TrainingStream(self.task, settings.seeds, 1, device).steps(0, 1)
                meta = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta)
                plan_named(settings.plan)(bound, "mean")(meta, episodes, torch.tensor(0.0, device=device))
            tests = TestSet(self.task, 1, settings.test_seed, device)
            for _ in evaluate(bound, bound.meta, self.task, tests, min(1, settings.test_steps), settings.plan):
                pass

    def events(self) -> Generator[Event, None, Result]:
        """Train, then test: yields a record now and then, and returns the result. Nothing is printed or saved.

        Raises:
            UsageError: the combination cannot work; before anything is trained.
        """
        settings, device = self.settings, self.device()
        bound = self.bind()
        stream = TrainingStream(self.task, settings.seeds, settings.meta_batch, device)
        budget = TrainingSettings(
            settings.iterations, settings.meta_reduction, settings.optimizer, settings.outer_lr, settings.plan
        )
        history: list[TrainingRecord] = []
        start = time.perf_counter()
        with self.blame("training"):
            training = train(bound, stream, budget)
            while True:
                try:
                    record = next(training)
                except StopIteration as end:
                    meta = end.value
                    break
                history.append(record)
                yield record
        trained = time.perf_counter()
        tests = TestSet(self.task, settings.test_tasks, settings.test_seed, device)
        with self.blame("testing"):
            values = yield from evaluate(bound, meta, self.task, tests, settings.test_steps, settings.plan)
        evaluated = time.perf_counter()

        diverged = history[-1].diverged if history else {}
        steps = history[-1].step if history else 0
        tasks = steps * settings.meta_batch * len(settings.seeds)
        return Result(
            config=self.config(),
            evaluation=Evaluation(values, [row for row in range(len(settings.seeds)) if row not in diverged]),
            meta=meta,
            history=history,
            diverged={settings.seeds[row]: step for row, step in sorted(diverged.items())},
            timing=Timing(trained - start, evaluated - trained, tasks / (trained - start)),
            remarks=_remarks(bound),
            experiment=self,
        )

    @contextmanager
    def blame(self, stage: str) -> Iterator[None]:
        """Name the experiment in whatever a plugin raises."""
        try:
            yield
        except MamlzooError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            hint = "`--plan loop` may do; " if self.settings.plan == "vmap" and isinstance(error, RuntimeError) else ""
            raise PluginError(
                f"{self.name} failed in {stage}: {reason} ({hint}`mamlzoo --debug` shows where)"
            ) from error

    def run(self, progress: Listener | None = None) -> Result:
        """Train and test; `progress` is called with every record."""
        events = self.events()
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return cast(Result, end.value)
            if progress is not None:
                progress(self, event)


def run(
    task: TaskLike = "sine",
    model: ModelLike = "mlp",
    algorithm: AlgorithmLike = "maml",
    *,
    options: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 1,
    progress: Listener | None = None,
    **settings: Any,
) -> Result:
    """Train and test one combination.

    Args:
        task, model, algorithm: a plugin's name, its class, or an instance; the model also any `torch.nn.Module`, or a
            function that makes one, from a Spec or from nothing.
        options: of plugins given by name or class, as the flags spell them: {"task.shots": 5}.
        seeds: how many (0, 1, …), or which.
        progress: called with the experiment and every training or evaluation record.
        **settings: fields of `Settings`: iterations, meta_batch, outer_lr, …

    Raises:
        UsageError: something was asked for that cannot be.

    >>> result = run("scalar", "neuron", "maml", iterations=1, options={"algorithm.inner_lr": 0.1}, meta_batch=2,
    ...              optimizer="sgd", outer_lr=0.5, meta_reduction="sum")
    >>> round(result.meta["network"]["weight"].item(), 2)
    -1515.48
    """
    (experiment,) = experiments([task], [model], [algorithm], options=options, seeds=seeds, **settings)
    return experiment.run(progress)


def compare(
    task: TaskLike | Sequence[TaskLike] = "sine",
    model: ModelLike | Sequence[ModelLike] = "mlp",
    algorithm: AlgorithmLike | Sequence[AlgorithmLike] = ("maml", "fomaml", "transfer", "scratch"),
    *,
    options: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 1,
    progress: Listener | None = None,
    **settings: Any,
) -> Comparison:
    """Train and test every combination of several tasks, models and algorithms; arguments as for `run`."""
    several = experiments(
        _several(task), _several(model), _several(algorithm), options=options, seeds=seeds, **settings
    )
    return Comparison([experiment.run(progress) for experiment in several])


def experiments(
    tasks: Iterable[TaskLike],
    models: Iterable[ModelLike],
    algorithms: Iterable[AlgorithmLike],
    *,
    options: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 1,
    **settings: Any,
) -> list[Experiment]:
    """Every combination, checked to work before the first one is run.

    An option goes to every plugin of its kind that has it; it must be known to one at least.

    Raises:
        UsageError: as `run`.
    """
    given = _by_kind(options or {})
    chosen_tasks = _resolve_all(Task, tasks, given["task"])  # type: ignore[type-abstract]
    chosen_models = _resolve_all(Model, map(_as_model, models), given["model"])  # type: ignore[type-abstract]
    chosen_algorithms = _resolve_all(MetaAlgorithm, algorithms, given["algorithm"])  # type: ignore[type-abstract]
    budget = _settings(seeds, settings)
    combinations = [Experiment(*plugins, budget) for plugins in product(chosen_tasks, chosen_models, chosen_algorithms)]
    for experiment in combinations:
        experiment.check()
    return combinations


def _settings(seeds: int | Sequence[int], given: dict[str, Any]) -> Settings:
    if isinstance(seeds, numbers.Integral):
        if seeds < 1:
            raise UsageError(f"settings: seeds must be at least 1, not {seeds}")
        seeds = range(int(seeds))
    return options.make(Settings, {"seeds": tuple(cast(Sequence[int], seeds)), **given}, "a run")


def _several(given: Any) -> Sequence[Any]:
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
    if isinstance(like, base):
        changed = _known(type(like), given)
        return cast(P, replace(cast(Any, like), **changed)) if changed else like
    if isinstance(like, str):
        like = cast(type[P], installed().get(base.kind, like))
    if isinstance(like, type) and issubclass(like, base):
        return options.make(like, _known(like, given), f"{base.kind} '{like.name}'")
    raise UsageError(f"a {base.kind} must be a name, a mamlzoo.{base.__name__} or its class, not {like!r}")


def _known(cls: type[Plugin], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in options.options_of(cls)}


def _registered(plugin: Plugin) -> bool:
    """Whether a config that names the plugin leads back to its very class."""
    offer = installed().offers[plugin.kind].get(plugin.name)
    return offer is not None and offer.cls is type(plugin)


def _remarks(bound: Bound) -> list[str]:
    modules = [module for network in bound.learner.networks.values() for module in network.modules()]
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules):
        return ["transductive: batch norm sees the statistics of all query inputs of an episode at once"]
    return []


def _wants_spec(make: Callable[..., nn.Module]) -> bool:
    """Whether a function must be given something: it is the task's Spec, then."""
    return any(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in inspect.signature(make).parameters.values()
    )


def _as_model(like: ModelLike) -> str | Model | type[Model]:
    """A module, or a function that makes one, as a Model."""
    if isinstance(like, str | Model) or (isinstance(like, type) and issubclass(like, Model)):
        return like
    make = cast(Callable[..., nn.Module], like)
    if not callable(make):  # a module is callable too, but is not called to make one
        raise UsageError(f"a model must be a name, a mamlzoo.Model, a torch.nn.Module or a function, not {like!r}")

    class Given(Model):
        """A network brought along in Python."""

        name = getattr(like, "__name__", type(like).__name__)

        def build(self, spec: Spec) -> nn.Module:
            if isinstance(like, nn.Module):
                return copy.deepcopy(like)
            return make(spec) if _wants_spec(make) else make()

    return Given()
