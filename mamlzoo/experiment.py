"""One experiment: task × model × algorithm and a budget in, a Result out."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import torch
from torch import nn

import mamlzoo
from mamlzoo import options, trees
from mamlzoo.engine.arithmetic import available_threads, matrix_products_in
from mamlzoo.engine.binding import Bound, bind_seeds
from mamlzoo.engine.evaluation import EvaluationRecord, evaluate, mapping
from mamlzoo.engine.memory import PeakMemory
from mamlzoo.engine.optimizers import OuterOptimizer, optimizer_class
from mamlzoo.engine.plans import EAGER
from mamlzoo.engine.preparation import Choice, Notice, Training, prepare
from mamlzoo.engine.streams import TestSet, TrainingStream, draw
from mamlzoo.engine.training import TrainingRecord, train
from mamlzoo.errors import MamlzooError, PluginError, UsageError
from mamlzoo.interfaces import KINDS, MetaAlgorithm, Model, Plugin, Task
from mamlzoo.registry import installed
from mamlzoo.result import Evaluation, Result, Timing

MAX_SEED = 2**63 - 1
"""The largest that `torch.manual_seed` takes."""
Event = Notice | Choice | TrainingRecord | EvaluationRecord
Listener = Callable[["Experiment", Event], None]


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
    plan: Literal["auto", "compile", "vmap", "loop"] = options.option(
        "auto",
        "how: many meta-steps in one compiled call, all tasks in one batched call, one after another, or the fastest",
    )
    chunk: int | None = options.option(
        None, "episodes of a seed computed at once; none: what fits in a memory budget of 1 GiB", minimum=1
    )
    threads: int | None = options.option(
        None, "CPU threads, used where several are faster than one; none: one for each core", minimum=1, maximum=1024
    )
    recompute: bool = options.option(False, "compute inner steps again in the backward pass: less memory, more time")
    precision: Literal["float32", "tf32", "bf16"] = options.option(
        "float32", "of matrix products: float32, TF32 on a GPU that has it, or bfloat16 by autocast"
    )

    def __post_init__(self) -> None:
        options.validate(self, "settings")
        if not self.seeds:
            raise UsageError("settings: seeds must name at least one")
        if len(set(self.seeds)) != len(self.seeds):
            raise UsageError(f"settings: seeds must differ, not {', '.join(map(str, self.seeds))}")
        optimizer_class(self.optimizer)
        if self.precision == "tf32" and not self.device.startswith("cuda"):
            raise UsageError(f"settings: precision tf32 is a GPU's, and the device is {self.device}; bf16 is for any")

    def training(self) -> Training:
        """What of them the engine trains by."""
        return Training(
            self.iterations,
            self.meta_reduction,
            self.optimizer,
            self.outer_lr,
            self.plan,
            self.chunk,
            self.most_threads,
        )

    @property
    def most_threads(self) -> int:
        """How many CPU threads may compute."""
        return self.threads or available_threads()


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
                name = config[kind]["name"]
                raise UsageError(
                    f"{kind} '{name}' came from Python and its code is not in the run directory; plot in the process "
                    "that ran it"
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

    def check(self) -> None:
        """Try everything once, on one episode: what cannot work is said before anything is trained.

        Raises:
            UsageError, PluginError: it cannot work.
        """
        settings, device = replace(self.settings, seeds=self.settings.seeds[:1]), self.device()
        trial = replace(self, settings=settings)
        bound = trial.bind()
        plan = settings.plan if settings.plan in EAGER else "loop"  # what works at all works in a loop
        with self.blame("a trial"):
            one, two = (draw(self.task, 2, 0, "train", 0, device) for _ in range(2))
            if not all(map(torch.equal, trees.leaves(one), trees.leaves(two))):
                raise PluginError(
                    f"task '{self.task.name}' gives other episodes for the same generator; all its random numbers must "
                    "come from that, or no run can be repeated"
                )
            if self.algorithm.trains and settings.iterations:
                optimizer = OuterOptimizer(settings.optimizer, settings.outer_lr, bound.meta)
                episodes = trees.tree_map(lambda leaf: leaf[None], one)  # a seed axis before the meta-batch
                EAGER[plan](bound, "mean", None)(optimizer.meta, episodes, torch.tensor(0.0, device=device))
            tests = TestSet(self.task, 1, settings.test_seed, device)
            for _ in evaluate(bound, bound.meta, self.task, tests, min(1, settings.test_steps), plan):
                pass

    def events(self) -> Generator[Event, None, Result]:
        """Train, then test: yields a record now and then, and returns the result. Nothing is printed or saved.

        Raises:
            UsageError: the combination cannot work; before anything is trained.
        """
        with matrix_products_in(self.settings.precision):
            return (yield from self._events())

    def _events(self) -> Generator[Event, None, Result]:
        settings, device = self.settings, self.device()
        bound = self.bind()
        memory, history = PeakMemory(device), list[TrainingRecord]()
        meta, choice = bound.meta, Choice("none", "there is nothing to train")
        start = prepared = time.perf_counter()
        if self.algorithm.trains and settings.iterations:
            stream = TrainingStream(self.task, settings.seeds, settings.meta_batch, device)
            with self.blame("training"):
                steps, choice = yield from prepare(bound, stream, settings.training())
                yield choice
                prepared = time.perf_counter()
                training = train(stream, steps, settings.iterations)
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
            how = mapping(bound, self.task, tests, settings.plan)
            values = yield from evaluate(
                bound, meta, self.task, tests, settings.test_steps, how, settings.chunk, settings.most_threads
            )
        evaluated = time.perf_counter()

        diverged = history[-1].diverged if history else {}
        rows = [row for row in range(len(settings.seeds)) if row not in diverged]
        tasks = (history[-1].step if history else 0) * settings.meta_batch * len(settings.seeds)
        return Result(
            config=self.config(),
            evaluation=Evaluation(values, rows, next(iter(values)) in self.task.higher_is_better),
            meta=meta,
            history=history,
            diverged={settings.seeds[row]: step for row, step in sorted(diverged.items())},
            plan=choice,
            timing=Timing(
                prepare_seconds=prepared - start,
                train_seconds=trained - prepared,
                evaluate_seconds=evaluated - trained,
                tasks_per_second=tasks / max(trained - prepared, 1e-9),
                peak_memory_mb=memory.mebibytes(),
            ),
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


def _registered(plugin: Plugin) -> bool:
    """Whether a config that names the plugin leads back to its very class."""
    offer = installed().offers[plugin.kind].get(plugin.name)
    return offer is not None and offer.cls is type(plugin)


def _remarks(bound: Bound) -> list[str]:
    remarks = []
    leaves = trees.leaves(bound.meta)
    if len(leaves[0]) > 1 and all(bool((leaf == leaf[:1]).all()) for leaf in leaves):
        remarks.append("all seeds start from the same θ⁰")
    modules = [module for network in bound.learner.networks.values() for module in network.modules()]
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules):
        remarks.append("transductive: batch norm sees the statistics of all query inputs of an episode at once")
    return remarks
