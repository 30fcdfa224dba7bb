"""Before training: choose how meta-steps are executed, by trying on real meta-batches what is worth trying."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn.modules.conv import _ConvNd

from mamlzoo import trees
from mamlzoo.engine.arithmetic import SPREAD, computing
from mamlzoo.engine.binding import Bound, Reduction
from mamlzoo.engine.compiled import CompiledSteps, Loop, Replay, TracedSteps, machine_code
from mamlzoo.engine.compiler import CannotCompileError, reason_of
from mamlzoo.engine.memory import BUDGET, MIB, allocated_by
from mamlzoo.engine.optimizers import OuterOptimizer
from mamlzoo.engine.plans import EAGER
from mamlzoo.engine.steps import Block, EagerSteps, Steps
from mamlzoo.engine.streams import TrainingStream
from mamlzoo.engine.training import blocks
from mamlzoo.errors import MamlzooError
from mamlzoo.interfaces import Episode
from mamlzoo.tables import rate

WORTH_A_THOUGHT = 4.0
"""Seconds of eager training below which a compiler is not even considered: importing it takes longer."""
COMPILING = 30.0
"""Compiling a graph takes about this many times what tracing it took; 29 to 39 on graphs of 460 to 1,480 nodes."""
LONGER = 2
"""By how much more a busy or an older machine may take than was measured: a person is told a range."""
CLEARLY = 2.0
"""By how much looping must be faster than batching to be chosen: a near tie is not to be decided by the noise of a
machine, since plans differ in the last bits."""
FEW = 2
"""Tasks a seed that the loop is timed on."""
CACHE = 16 * MIB
"""What the tensors of one compiled pass may take on a CPU: a few MiB live at a time, which a core's cache holds."""
ROUGHLY = 0.01
"""How far a compiled meta-loss may be from an eager one, relatively: bfloat16 rounds in other places. Wrong code is
wrong by more, and tests hold float32 to 1e-5."""
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
    """

    iterations: int
    reduction: Reduction
    optimizer: str
    outer_lr: float
    plan: str
    chunk: int | None = None
    threads: int = 1


class Notice(NamedTuple):
    """Something that takes a while begins."""

    text: str

    def __str__(self) -> str:
        return self.text


class Choice(NamedTuple):
    """The plan that meta-steps are executed by, and why, in one line."""

    plan: str
    why: str

    def __str__(self) -> str:
        return f"by {self.plan}: {self.why}"


def prepare(bound: Bound, stream: TrainingStream, training: Training) -> Generator[Notice, None, tuple[Steps, Choice]]:
    """Choose a plan and make it ready. Nothing is trained: what is tried is tried on copies."""
    return (yield from _Preparation(bound, stream, training).run())


class _Preparation:
    def __init__(self, bound: Bound, stream: TrainingStream, training: Training) -> None:
        self._bound, self._training = bound, training
        self._block: Block = next(blocks(stream, training.iterations))[0]
        self._tasks = stream.meta_batch * len(stream.seeds)
        needed = bytes_of_a_task(bound, self._block.episodes)
        in_cache = CACHE if stream.device.type == "cpu" else BUDGET
        self._needed = needed
        self._chunk = min(stream.meta_batch, training.chunk or max(1, BUDGET // needed))
        self._compiled_chunk = min(stream.meta_batch, training.chunk or max(1, in_cache // needed))

    def run(self) -> Generator[Notice, None, tuple[Steps, Choice]]:
        wanted = self._training.plan
        if wanted in EAGER:
            return self._eager(wanted), Choice(wanted, "as asked for")
        try:
            if wanted == "compile":
                traced = self._traced()
                run = yield from self._machine_code(traced)
                self._compare_with_vmap(traced, run)
                return self._compiled(traced, run), Choice(wanted, "as asked for")
            return (yield from self._auto())
        except CannotCompileError as error:
            plan, _, why = self._fastest_eager
            return self._eager(plan), Choice(plan, f"'compile' cannot: {error}; {why}")

    def _auto(self) -> Generator[Notice, None, tuple[Steps, Choice]]:
        plan, seconds, why = self._fastest_eager
        total = seconds * self._training.iterations
        eager = self._eager(plan)
        if total < WORTH_A_THOUGHT:
            return eager, Choice(plan, f"{why}, about {total:.2g} s in all")
        traced = self._traced()
        expected = 0.0 if traced.path.is_file() else COMPILING * traced.seconds
        if total < expected:
            return eager, Choice(plan, f"{why}, about {total:.0f} s in all; compiling alone about {expected:.0f} s")
        run = yield from self._machine_code(traced)
        trial = self._compare_with_vmap(traced, run)
        few = min(len(self._block.progress), max(1, int(WHILE / seconds)))
        with computing(trial.threads):
            fast = _seconds(lambda: trial.advance(self._block, 0, few)) / few
        rates = f"{self._rate(fast)} against {self._rate(seconds)} by {plan}"
        if fast > seconds:
            return eager, Choice(plan, f"compiled is slower: {rates}")
        return self._compiled(traced, run), Choice("compile", rates)

    @functools.cached_property
    def _fastest_eager(self) -> tuple[str, float, str]:
        """The faster of 'vmap' and 'loop', its seconds a meta-step, and why."""
        episodes = trees.index(self._block.episodes, (slice(0, 1), slice(None), slice(0, FEW)))
        few = Block(episodes, self._block.progress[:1])
        looped = _pace(self._eager("loop"), few) * self._tasks / math.prod(episodes.support.x.shape[1:3])
        try:
            batched = _pace(self._eager("vmap"), self._block)
        except MamlzooError:
            raise
        except Exception as error:
            return "loop", looped, f"its tasks cannot be batched ({reason_of(error)})"
        if looped * CLEARLY < batched or self._doubles_convolutions():
            return "loop", looped, f"{self._rate(looped)} against {self._rate(batched)} by vmap"
        rates = f"{self._rate(batched)} against {self._rate(looped)} by loop"
        return "vmap", batched, rates + ", which is not clearly faster" * (looped < batched)

    def _rate(self, seconds: float) -> str:
        """Tasks a second, where a meta-step takes so long."""
        return rate(self._tasks / seconds, "task")

    def _doubles_convolutions(self) -> bool:
        """Whether a batched convolution would be differentiated twice on a CPU, which eager PyTorch is bad at."""
        networks = self._bound.learner.networks.values()
        convolves = any(isinstance(module, _ConvNd) for network in networks for module in network.modules())
        return convolves and self._bound.algorithm.order == "exact" and self._block.progress.device.type == "cpu"

    def _optimizer(self) -> OuterOptimizer:
        return OuterOptimizer(self._training.optimizer, self._training.outer_lr, self._bound.meta)

    def _eager(self, plan: str, optimizer: OuterOptimizer | None = None) -> EagerSteps:
        gradients = EAGER[plan](self._bound, self._training.reduction, self._chunk)
        return EagerSteps(
            optimizer or self._optimizer(), gradients, self._threads(1 if plan == "loop" else self._chunk)
        )

    def _threads(self, tasks: int) -> int:
        """How many compute so many tasks at once: one, where handing the work out would cost more than it saves."""
        return self._training.threads if tasks * self._needed >= SPREAD else 1

    def _traced(self) -> TracedSteps:
        trial = self._eager("vmap")
        try:
            measured = trial.advance(self._block, 0, 1)
        except MamlzooError:
            raise
        except Exception as error:
            raise CannotCompileError(f"its tasks cannot be batched ({reason_of(error)})") from error
        logs, chunk = list(measured.logs), self._compiled_chunk
        with computing(self._threads(chunk)):  # the compiler writes for so many
            return TracedSteps(self._bound, self._training.reduction, trial.optimizer, self._block, logs, chunk)

    def _machine_code(self, traced: TracedSteps) -> Generator[Notice, None, Loop | Replay]:
        if not traced.path.is_file():
            least = COMPILING * traced.seconds
            yield Notice(f"compiling the meta-step, once: about {least:.0f} to {LONGER * least:.0f} s")
        with computing(self._threads(self._compiled_chunk)):
            return machine_code(traced)

    def _compare_with_vmap(self, traced: TracedSteps, run: Loop | Replay) -> CompiledSteps:
        """Make three meta-steps on copies by both plans; a compiler is not believed.

        Raises:
            CannotCompileError: the program fails, or its meta-losses are not those of the vmap plan.
        """
        compiled, vmap = self._compiled(traced, run), self._eager("vmap")
        for _ in range(3):  # the first is eager by both; the last one's loss shows what the second made of θ
            try:
                with computing(compiled.threads):
                    found = compiled.advance(self._block, 0, 1).losses
            except RuntimeError as error:
                raise CannotCompileError(f"the program fails: {reason_of(error)}") from error
            expected = vmap.advance(self._block, 0, 1).losses
            if not torch.allclose(found, expected, rtol=ROUGHLY, atol=ROUGHLY, equal_nan=True):
                raise CannotCompileError("the program's numbers are not those of vmap")
        return compiled

    def _compiled(self, traced: TracedSteps, run: Loop | Replay) -> CompiledSteps:
        optimizer = self._optimizer()
        return CompiledSteps(
            optimizer, self._eager("vmap", optimizer), traced, run, self._threads(self._compiled_chunk)
        )


def bytes_of_a_task(bound: Bound, episodes: Episode) -> int:
    """What the tensors of one task of every seed take in a meta-step, as if none were freed.

    Args:
        episodes: every leaf begins with [meta-steps, seeds, meta-batch].
    """
    one = trees.index(episodes, (0, slice(None), slice(0, 1)))
    meta = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta)
    step, now = EAGER["loop"](bound, "mean", None), torch.zeros((), device=one.support.x.device)
    return max(1, allocated_by(lambda: step(meta, one, now)))


def _pace(steps: Steps, block: Block) -> float:
    """Seconds a meta-step, the better of two after a first that does not count."""
    with computing(steps.threads):
        steps.advance(block, 0, 1)
        return min(_seconds(lambda: steps.advance(block, 0, 1)) for _ in range(2))


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - start
