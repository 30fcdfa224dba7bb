"""Before training: choose how meta-steps are executed, by trying on real meta-batches what is worth trying."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch.nn.modules.conv import _ConvNd

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, MetaParams
from mamlzoo.engine.batching_check import in_words, off_by
from mamlzoo.engine.binding import Bound, Reduction
from mamlzoo.engine.blocks import Block, blocks
from mamlzoo.engine.compilation import program_cache
from mamlzoo.engine.compilation.agreement import disagreement
from mamlzoo.engine.compilation.program_cache import CannotCompileError, DamagedError, reason_of
from mamlzoo.engine.compilation.traced_steps import CompiledSteps, Run, TracedSteps
from mamlzoo.engine.cpu import SPREAD, computing, is_busy
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.gradients import EAGER, Gradients, in_double
from mamlzoo.engine.memory import BUDGET, MIB, allocated_by
from mamlzoo.engine.outer_optimizer import OuterOptimizer, Part
from mamlzoo.engine.schedules import CONSTANT, Schedule
from mamlzoo.engine.steps import EagerSteps, Steps
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.tables import rate

T = TypeVar("T")
WORTH_A_THOUGHT = 2.0
"""Seconds of eager training below which a compiler is not even considered: tracing takes about as long."""
LONGER = 2
"""By how much more a busy or an older machine may take than was measured: a person is told a range."""
CLEARLY = 2.0
"""By how much looping must be faster than batching to be chosen: a near tie is not to be decided by the noise of a
machine, since plans differ in the last bits."""
FEW = 2
"""Tasks a seed that the loop is timed on."""
CACHE = 16 * MIB
"""What the tensors of one compiled pass may take on a CPU: a few MiB live at a time, which a core's cache holds."""
WHILE = 0.2
"""Seconds of meta-steps, at the eager pace, that the compiled program is timed on."""


@dataclass(frozen=True)
class Training:
    """What is to be trained and how.

    Attributes:
        iterations: meta-steps, each one update of θ.
        reduction: of the meta-losses over the meta-batch, 'mean' or 'sum'.
        optimizer: a name of torch.optim.
        outer_lr: its learning rate.
        plan: 'loop', 'vmap', 'compile', or 'auto' for what is fastest.
        chunk: tasks of each seed computed at once; None: what fits in the memory budget.
        threads: how many may compute, where that is faster than one.
        options: of the optimiser, by name.
        schedule: of its rate.
        group_lrs: the rates of groups of θ that have another, by name.
        clip_norm: the largest norm of a meta-gradient, or of a task's; None: any.
        clip_per: which of the two.
        ema: how much of the average of θ each meta-step keeps; None: there is no average.
        parts: of several experiments side by side on the seed axis, each one's rates and options of the optimiser, in
            place of those above; none: there is one experiment.
    """

    iterations: int
    reduction: Reduction
    optimizer: str
    outer_lr: float
    plan: str
    chunk: int | None = None
    threads: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: Schedule = CONSTANT
    group_lrs: Mapping[str, float] = field(default_factory=dict)
    clip_norm: float | None = None
    clip_per: Literal["meta-step", "task"] = "meta-step"
    ema: float | None = None
    parts: Sequence[Part] = ()

    @property
    def clip_of_task(self) -> float | None:
        """The largest norm of a task's gradient; None: any."""
        return self.clip_norm if self.clip_per == "task" else None

    def optimizer_of(self, meta: MetaParams, statistics: Collection[str] = ()) -> OuterOptimizer:
        """The outer optimiser of a θ.

        Args:
            statistics: groups of θ that are carried, and not optimised.

        Raises:
            UsageError: it refuses this θ, or θ lacks a group that has a rate of its own.
        """
        return OuterOptimizer(
            self.optimizer,
            self.parts or [Part(self.outer_lr, self.group_lrs, self.options)],
            meta,
            clip_norm=self.clip_norm if self.clip_per == "meta-step" else None,
            ema=self.ema,
            statistics=statistics,
        )


class Notice(NamedTuple):
    """Something that takes a while begins."""

    text: str

    def __str__(self) -> str:
        return self.text


class Alert(NamedTuple):
    """Something that a person should know, though it changes no number."""

    text: str

    def __str__(self) -> str:
        return self.text


class Choice(NamedTuple):
    """The plan that meta-steps are executed by, and why, in one line; where a clock chose, with what repeats it."""

    plan: str
    why: str

    def __str__(self) -> str:
        return f"by {self.plan}: {self.why}"


Preparing = Generator[Notice | Alert, None, T]


def prepare(bound: Bound, stream: TrainingStream, training: Training) -> Preparing[tuple[Steps, Choice]]:
    """Choose a plan and make it ready. Nothing is trained: what is tried is tried on copies."""
    return (yield from _Preparation(bound, stream, training).run())


class _Preparation:
    def __init__(self, bound: Bound, stream: TrainingStream, training: Training) -> None:
        self._bound, self._training = bound, training
        lrs = self._optimizer().lrs
        self._block: Block = next(blocks(stream, training.iterations, lrs, training.schedule))[0]
        tasks = self._block.episodes.support.y.shape[2]  # those of this process, which may be one of several
        self._tasks = tasks * len(stream.seeds)
        needed = bytes_of_a_task(bound, self._block.episodes)
        in_cache = CACHE if stream.device.type == "cpu" else BUDGET
        self._needed = needed
        self._chunk = min(tasks, training.chunk or max(1, BUDGET // needed))
        self._compiled_chunk = min(tasks, training.chunk or max(1, in_cache // needed))

    def run(self) -> Preparing[tuple[Steps, Choice]]:
        wanted = self._training.plan
        if wanted == "auto" or is_busy():
            yield from self._heed_crowd()
        if wanted in ("vmap", "compile") and self._off:
            raise UsageError(
                f"plan '{wanted}' would be wrong: {in_words(self._off)}; --plan loop takes one after another"
            )
        if wanted in EAGER:
            return self._eager(wanted), Choice(wanted, "as asked for")
        try:
            if wanted == "compile":
                return (yield from self._compile()), Choice(wanted, "as asked for")
            return (yield from self._auto())
        except CannotCompileError as error:
            plan, _, why = self._fastest_eager
            return self._chosen(self._eager(plan), plan, f"'compile' cannot: {error}; {why}")

    def _heed_crowd(self) -> Preparing[None]:
        """Say so where several threads, waiting for each other on cores that others use, are slower than one."""
        if self._threads(self._chunk) == 1:
            return
        try:
            several, alone = self._batched
        except Exception:  # which is said where it matters
            return
        if alone * CLEARLY < several:
            yield Alert(
                f"one thread is {several / alone:.0f} times as fast here as {self._training.threads}, "
                "as where other processes use the cores: try --threads 1 (the last digits can differ)"
            )

    def _compile(self) -> Preparing[CompiledSteps]:
        traced = yield from self._traced()
        run = (yield from self._kept(traced)) or (yield from self._machine_code(traced))
        self._believed(traced, run)
        return self._compiled(traced, run)

    def _auto(self) -> Preparing[tuple[Steps, Choice]]:
        plan, seconds, why = self._fastest_eager
        total = seconds * self._training.iterations
        eager = self._eager(plan)
        if self._off:
            return self._chosen(eager, plan, why)
        if total < WORTH_A_THOUGHT:
            return self._chosen(eager, plan, f"{why}, about {total:.2g} s in all")
        traced = yield from self._traced()
        run = yield from self._kept(traced)
        if run is None:
            if total < traced.compiling:
                why = f"{why}, about {total:.0f} s in all; compiling alone about {traced.compiling:.0f} s"
                return self._chosen(eager, plan, why)
            run = yield from self._machine_code(traced)
        compiled = self._believed(traced, run)
        few = min(len(self._block.progress), max(1, int(WHILE / seconds)))
        with computing(compiled.threads):
            fast = _seconds(lambda: compiled.advance(self._block, 0, few)) / few
        rates = f"{self._rate(fast)} against {self._rate(seconds)} by {plan}"
        if fast > seconds:
            return self._chosen(eager, plan, f"compiled is slower: {rates}")
        return self._chosen(self._compiled(traced, run), "compile", rates)

    @staticmethod
    def _chosen(steps: Steps, plan: str, why: str) -> tuple[Steps, Choice]:
        threads = f" --threads {steps.threads}" if steps.threads > 1 else ""
        return steps, Choice(plan, f"{why}; --plan {plan}{threads} repeats it")

    @functools.cached_property
    def _batched(self) -> tuple[float, float]:
        """Seconds a meta-step by 'vmap', and what they would be by one thread."""
        steps = self._eager("vmap")
        several = _pace(steps, self._block, steps.threads)
        return several, several if steps.threads == 1 else _pace(steps, self._block, 1)

    @functools.cached_property
    def _fastest_eager(self) -> tuple[str, float, str]:
        """The faster of 'vmap' and 'loop', its seconds a meta-step, and why."""
        episodes = trees.index(self._block.episodes, (slice(0, 1), slice(None), slice(0, FEW)))
        few = Block(episodes, self._block.progress[:1], self._block.rates[:1])
        looped = _pace(self._eager("loop"), few, 1) * self._tasks / math.prod(episodes.support.y.shape[1:3])
        try:
            batched, alone = self._batched
        except MamlzooError:
            raise
        except Exception as error:
            return "loop", looped, f"its tasks cannot be batched ({reason_of(error)})"
        if self._off:
            return "loop", looped, in_words(self._off)
        if looped * CLEARLY < min(batched, alone) or self._doubles_convolutions():
            return "loop", looped, f"{self._rate(looped)} against {self._rate(batched)} by vmap"
        rates = f"{self._rate(batched)} against {self._rate(looped)} by loop"
        return "vmap", batched, f"{rates}, which is not clearly faster" if looped < batched else rates

    @functools.cached_property
    def _off(self) -> float:
        """How far vmap's meta-gradient is from the loop's; 0 where they are equal but for rounding.

        An algorithm may begin with first derivatives and end with second ones, so both ends of training are looked at.
        """
        few = trees.index(self._block.episodes, 0)
        return max(off_by(self._bound, few, self._training.reduction, progress) for progress in (0.0, 1.0))

    def _rate(self, seconds: float) -> str:
        """Tasks a second, where a meta-step takes so long."""
        return rate(self._tasks / seconds, "task")

    def _doubles_convolutions(self) -> bool:
        """Whether a batched convolution would be differentiated twice on a CPU, which eager PyTorch is bad at."""
        networks = self._bound.learner.networks.values()
        convolves = any(isinstance(module, _ConvNd) for network in networks for module in network.modules())
        return convolves and self._bound.algorithm.order == "exact" and self._block.progress.device.type == "cpu"

    def _optimizer(self) -> OuterOptimizer:
        return self._training.optimizer_of(self._bound.meta, self._bound.algorithm.statistics)

    def _gradients(self, plan: str) -> Gradients:
        return EAGER[plan](self._bound, self._training.reduction, self._chunk, self._training.clip_of_task)

    def _eager(self, plan: str, optimizer: OuterOptimizer | None = None) -> EagerSteps:
        return EagerSteps(
            optimizer or self._optimizer(), self._gradients(plan), self._threads(1 if plan == "loop" else self._chunk)
        )

    def _threads(self, tasks: int) -> int:
        """How many compute so many tasks at once: one, where handing the work out would cost more than it saves."""
        return self._training.threads if tasks * self._needed >= SPREAD else 1

    def _traced(self) -> Preparing[TracedSteps]:
        if (alert := program_cache.place().alert) is not None:
            yield Alert(alert)
        eager = self._eager("vmap")
        try:
            measured = eager.advance(self._block, 0, 1)
        except MamlzooError:
            raise
        except Exception as error:
            raise CannotCompileError(f"its tasks cannot be batched ({reason_of(error)})") from error
        clip = self._training.clip_of_task
        what = self._bound, self._training.reduction, eager.optimizer, self._block, list(measured.logs)
        if self._block.progress.device.type == "cpu":
            from mamlzoo.engine.native.taskwise import TaskwiseSteps
            from mamlzoo.engine.native.writer import UncoveredError

            with contextlib.suppress(UncoveredError):
                return TaskwiseSteps(*what, clip)
        from mamlzoo.engine.compilation.program import BatchedSteps

        with computing(self._threads(self._compiled_chunk)):  # the compiler writes for so many
            return BatchedSteps(*what, self._compiled_chunk, clip)

    def _kept(self, traced: TracedSteps) -> Preparing[Run | None]:
        try:
            with computing(traced.threads(self._training.threads)):
                return traced.kept()
        except DamagedError as error:
            yield Alert(f"{error}; it was removed")
            return None

    def _machine_code(self, traced: TracedSteps) -> Preparing[Run]:
        least = max(1.0, traced.compiling)
        yield Notice(f"compiling the meta-step, once: about {least:.0f} to {LONGER * least:.0f} s")
        with computing(traced.threads(self._training.threads)):
            return traced.compiled()

    def _believed(self, traced: TracedSteps, run: Run) -> CompiledSteps:
        """Compare a program with the vmap plan, on copies; the one compared, whose θ has moved.

        Raises:
            CannotCompileError: the program fails, or its meta-steps are not those of the vmap plan.
        """
        compiled, vmap = self._compiled(traced, run), self._eager("vmap")
        gradients = self._gradients("vmap")
        try:
            with program_cache.trying(traced.path):
                exact = in_double(self._bound, self._training.reduction, self._training.clip_of_task)
                wrong = disagreement(vmap, compiled, gradients, self._block, traced.roughness, exact)
        except (RuntimeError, OSError) as error:
            raise CannotCompileError(f"the program fails: {reason_of(error)}") from error
        if wrong is not None:
            removed = "; it was removed" if program_cache.distrust(traced.path) else ""
            raise CannotCompileError(f"the program's {wrong} are not those of vmap{removed}")
        program_cache.trust(traced.path)
        return compiled

    def _compiled(self, traced: TracedSteps, run: Run) -> CompiledSteps:
        optimizer = self._optimizer()
        threads = traced.threads(self._training.threads)
        return CompiledSteps(optimizer, self._eager("vmap", optimizer), traced, run, threads)


def bytes_of_a_task(bound: Bound, episodes: Episode) -> int:
    """What the tensors of one task of every seed take in a meta-step, as if none were freed.

    Args:
        episodes: every leaf begins with [meta-steps, seeds, meta-batch].
    """
    one = trees.index(episodes, (0, slice(None), slice(0, 1)))
    meta = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta)
    step, now = EAGER["loop"](bound, "mean"), torch.zeros((), device=one.support.y.device)
    return max(1, allocated_by(lambda: step(meta, one, now)))


def _pace(steps: Steps, block: Block, threads: int) -> float:
    """Seconds a meta-step, the better of two after a first that does not count."""
    with computing(threads):
        steps.advance(block, 0, 1)
        return min(_seconds(lambda: steps.advance(block, 0, 1)) for _ in range(2))


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - start
