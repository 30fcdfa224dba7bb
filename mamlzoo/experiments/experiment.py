"""One experiment: task × model × algorithm and a budget in, a Result out."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch

import mamlzoo
from mamlzoo import trees
from mamlzoo.contracts import options
from mamlzoo.contracts.plugins import KINDS, Episode, MetaAlgorithm, MetaParams, Model, Plugin, Task
from mamlzoo.discovery import blame, oversize, serialisation
from mamlzoo.engine.binding import Bound, bind_seeds, built_with
from mamlzoo.engine.evaluation import evaluate
from mamlzoo.engine.gradients import EAGER
from mamlzoo.engine.inspection import inspect_algorithm, inspect_judgement, inspect_networks
from mamlzoo.engine.optimizers import OuterOptimizer
from mamlzoo.engine.placement import matrix_products_in
from mamlzoo.engine.purity import repeating
from mamlzoo.engine.rehearsal import check_meta_gradient, rehearse
from mamlzoo.engine.streams import TestSet, TrainingStream, draw
from mamlzoo.engine.training import TrainingState
from mamlzoo.engine.underivable import located
from mamlzoo.errors import FOREIGN, MamlzooError, PluginError, UsageError
from mamlzoo.experiments.result import Result
from mamlzoo.experiments.settings import Settings
from mamlzoo.runs import execution, provenance
from mamlzoo.runs.checkpoints import Checkpoint
from mamlzoo.runs.execution import Event, Events
from mamlzoo.runs.watching import watched

Listener = Callable[["Experiment", Event], None]
"""What is told of every event of a run."""


@dataclass(frozen=True)
class Experiment:
    """Everything that defines a run; `events` runs it."""

    task: Task
    model: Model
    algorithm: MetaAlgorithm
    settings: Settings = field(default_factory=Settings)

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """As in `sine × mlp × maml`."""
        return f"{self.task.name} × {self.model.name} × {self.algorithm.name}"

    def config(self) -> dict[str, Any]:
        """Names, options, settings, versions, machine and revision: what it takes to run this again."""
        with self.blame("reading its data"):
            plugins = {
                plugin.kind: {
                    "name": plugin.name,
                    "options": options.values(plugin),
                    **serialisation.of(plugin),
                    **serialisation.data_of(plugin),
                }
                for plugin in (self.task, self.model, self.algorithm)
            }
        versions = {"mamlzoo": mamlzoo.__version__, "torch": torch.__version__, "python": platform.python_version()}
        return plugins | {
            "settings": options.values(self.settings),
            "versions": versions,
            "machine": provenance.machine(self.device(), self.settings.most_threads),
            "git": provenance.git_revision(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], given: Mapping[str, Plugin] | None = None) -> Experiment:
        """The experiment that has this config.

        Args:
            given: by kind, a plugin that came from Python; it takes the place of the one that the config names.

        Raises:
            UsageError: a plugin or an option of it is not installed, came from Python and is not given, or came from a
                file that is gone or has changed.
        """
        given = given or {}
        task, model, algorithm = (given.get(kind) or serialisation.make(kind, config[kind]) for kind in KINDS)
        settings = options.make(Settings, config["settings"], "settings")
        return cls(cast(Task, task), cast(Model, model), cast(MetaAlgorithm, algorithm), settings)

    def check_data(self, config: Mapping[str, Any]) -> None:
        """What the plugins of a run with this config read must be there still, unchanged.

        Raises:
            UsageError: it has changed, or is gone.
        """
        with self.blame("reading its data"):
            for kind in KINDS:
                serialisation.check_data(config[kind], getattr(self, kind))

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
        """The networks, and the θ⁰ of every seed as the model draws it.

        Raises:
            UsageError: the combination cannot work.
        """
        with self.blame("set-up"):
            return bind_seeds(
                self.task,
                self.model,
                self.algorithm,
                self.settings.seeds,
                self.device(),
                dtype,
                recompute=self.settings.recompute,
                bf16=self.settings.precision == "bf16",
            )

    def is_trained(self, state: TrainingState) -> bool:
        """Whether no meta-step is to be made any more: all are made, or every seed has diverged."""
        return (
            not self.algorithm.trains
            or state.step >= self.settings.iterations
            or len(state.diverged) == len(self.settings.seeds)
        )

    def initial(self, bound: Bound) -> MetaParams:
        """The θ that training begins with: as the model draws it, or that of the run that `init_from` names.

        Raises:
            UsageError: that run has another θ, or none for a seed.
        """
        if self.settings.init_from is None:
            return bound.meta
        from mamlzoo.runs import inheritance

        return inheritance.theta_of(self.settings.init_from, self.settings.seeds, bound.meta)

    def check(self) -> None:
        """Try everything once, on one episode: what cannot work is said before anything is trained.

        Raises:
            UsageError, PluginError: it cannot work.
        """
        settings, device = replace(self.settings, seeds=self.settings.seeds[:1]), self.device()
        trial = replace(self, settings=settings)
        bound = trial.bind()
        plan = settings.plan if settings.plan in EAGER else "loop"  # what works at all works in a loop
        if settings.init_from is not None:
            self.initial(self.bind())
        with self.blame("a trial"):
            one, two = (draw(self.task, 2, 0, "train", 0, device) for _ in range(2))
            if not trees.equal(one, two):
                raise PluginError(
                    f"task '{self.task.name}' gives other episodes for the same generator; all its random numbers must "
                    "come from that, or no run can be repeated",
                    plugin=self.task,
                )
            if self.algorithm.trains and settings.iterations:
                TrainingStream(self.task, self.settings.seeds, settings.meta_batch, device).try_sizes()
            if settings.validation_interval:
                validation = TestSet(self.task, 1, settings.test_seed, device, split="valid")
                validation.try_sizes()
                validation.episode(0)
            episodes = trees.cast(one, torch.float32, device)
            first = trees.index(episodes, 0)
            others = built_with(bound, self.model, settings.seeds[0] ^ 1)
            with repeating():
                inspect_networks(bound, self.model, others, first)
                rehearse(bound, self.task, self.model, first)
                inspect_judgement(self.task, first.query.y)
                inspect_algorithm(bound, others, first)

        def hint() -> str:
            """Whether the loop can do what batching could not."""
            try:
                trial._try(bound, episodes, "loop")
            except FOREIGN:
                return ""
            return "by `--plan loop` it works"

        with self.blame("a trial", hint if plan == "vmap" else None):
            trial._try(bound, episodes, plan)

    def _try(self, bound: Bound, episodes: Episode, plan: str) -> None:
        """Make one meta-gradient and one evaluation.

        Args:
            episodes: every leaf begins with [meta-batch].
        """
        settings, device, first = self.settings, self.device(), trees.index(episodes, 0)
        if self.algorithm.trains and settings.iterations:
            optimizer = OuterOptimizer(settings.optimizer, settings.outer_lr, bound.meta)
            batch = trees.tree_map(lambda leaf: leaf[None], episodes)  # a seed axis before the meta-batch
            with located(bound, first):
                found = EAGER[plan](bound, "mean", None)(optimizer.meta, batch, torch.tensor(0.0, device=device))
            check_meta_gradient(bound, found, first)
        tests = TestSet(self.task, 1, settings.test_seed, device)
        tests.try_sizes()
        for _ in evaluate(bound, bound.meta, self.task, tests, min(1, settings.test_steps), plan):
            pass

    def events(self, start: Checkpoint | None = None, pauses: Sequence[int] = ()) -> Events[Result]:
        """Train, then test, as `mamlzoo.runs.execution.events`: yields what happens, and returns the result.

        Raises:
            UsageError: the combination cannot work; before anything is trained.
        """
        with matrix_products_in(self.settings.precision):
            return (yield from execution.events(self, start, pauses))

    @contextmanager
    def blame(self, stage: str, hint: Callable[[], str] | None = None) -> Iterator[None]:
        """Name the experiment and the plugin in whatever a plugin raises, and where that comes from.

        Args:
            hint: asked then for what may help.
        """
        try:
            yield
        except FOREIGN as error:
            oversized = oversize.too_large(error, self)
            if oversized is not None:
                raise oversized from error
            if isinstance(error, MamlzooError):
                blame.locate(error)
                raise
            plugins, helps = (self.task, self.model, self.algorithm), hint() if hint else ""
            raise blame.accusation(error, plugins, f"{self.name} failed in {stage}", helps) from error

    def run(self, progress: bool | Listener | None = None) -> Result:
        """Train and test; nothing is saved.

        Args:
            progress: True for a bar, or a function, which is called with the experiment and every event.
        """
        with watched(progress) as watcher:
            events = self.events()
            while True:
                try:
                    event = next(events)
                except StopIteration as end:
                    return cast(Result, end.value)
                watcher(self, event)
