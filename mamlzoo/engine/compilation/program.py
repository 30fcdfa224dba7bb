"""The plan `compile`: many meta-steps, outer optimiser included, in one call of machine code.

One pass of the vmap plan and the optimiser's update are traced to a graph,

    (at, θ, measures, …, optimiser state, data) -> (at + 1, θ, measures, …, optimiser state),

which on a CPU is compiled as the body of a loop over the block's meta-steps, so that Python is entered once for many of
them. Where the loop begins and ends are inputs: a shorter last part, or going on in the middle, is the same program.
On a GPU the graph alone is compiled and replayed as a CUDA graph, without a word from the host in between.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop_op
from torch.func import functionalize
from torch.fx import GraphModule

from mamlzoo import trees
from mamlzoo.engine.binding import Bound, Reduction
from mamlzoo.engine.blocks import Block
from mamlzoo.engine.carried_statistics import columns
from mamlzoo.engine.compilation import program_cache
from mamlzoo.engine.compilation.graph import roughness, traced
from mamlzoo.engine.compilation.inductor import Compiled, compile_program, load, program_path
from mamlzoo.engine.compilation.numeric_inputs import with_most
from mamlzoo.engine.compilation.traced_steps import Run, TracedSteps
from mamlzoo.engine.gradients import vmap_plan
from mamlzoo.engine.outer_optimizer import OuterOptimizer
from mamlzoo.engine.steps import Measured

COMPILING = 30.0
"""Compiling a graph takes about this many times what tracing it took; 29 to 39 on graphs of 460 to 1,480 nodes."""
WARM_UP = 3
"""Passes on a side stream before a CUDA graph is captured, as torch asks for."""


class _Carried(NamedTuple):
    """What a pass hands to the next.

    Attributes:
        theta: as one vector for each seed.
        measures: the meta-loss and the algorithm's own scalars, [meta-steps, seeds, 1 + scalars].
        gradient: what the passes of a meta-step have of it so far; empty where there is one pass.
        state: the optimiser's.
    """

    theta: Tensor
    measures: Tensor
    gradient: tuple[Tensor, ...]
    state: tuple[Tensor, ...]

    @classmethod
    def of(cls, tensors: Sequence[Tensor], *, accumulates: bool) -> _Carried:
        """The tensors of `all`, taken apart again."""
        theta, measures, *rest = tensors
        return cls(theta, measures, tuple(rest[:1]) if accumulates else (), tuple(rest[1:] if accumulates else rest))

    @property
    def all(self) -> list[Tensor]:
        """Its tensors, one after another."""
        return [self.theta, self.measures, *self.gradient, *self.state]


class BatchedSteps(TracedSteps):
    """The vmap plan's meta-gradient and the outer optimiser, compiled by TorchInductor.

    Where a chunk bounds the tasks computed at once, a meta-step is several passes of the graph: each adds to the
    gradient, and the last of them updates θ.

    Attributes:
        carries: how many tensors a pass hands to the next.
    """

    def __init__(
        self,
        bound: Bound,
        reduction: Reduction,
        optimizer: OuterOptimizer,
        example: Block,
        logs: Sequence[str],
        chunk: int | None = None,
        clip: float | None = None,
    ) -> None:
        """Trace.

        Args:
            optimizer: has made a step, so that its state is there.
            example: a block of the shapes to come.
            logs: the names of the algorithm's own scalars.
            clip: the largest norm of a task's gradient; None: any.

        Raises:
            CannotCompileError: something depends on a tensor's value, or does what a graph cannot hold.
        """
        super().__init__(bound, example, logs)
        self._update = optimizer.update
        self._reduction, self._clip = reduction, clip
        tasks = example.episodes.support.y.shape[2]
        self.passes = tasks // _piece(tasks, chunk or tasks)
        self._accumulates = self.passes > 1
        carried = self.carried(optimizer)
        self.carries = len(carried)
        start = torch.tensor(0, device=optimizer.theta.device)

        def made(options: tuple[str, ...]) -> tuple[tuple[str, ...], float, GraphModule, list[Tensor]]:
            started = time.perf_counter()
            self._take(options)
            graph, lifted = traced(self._pass, [start, *carried, *self.given(example)])
            return options, time.perf_counter() - started, graph, lifted

        options, tracing, self.graph, self.lifted = with_most(bound, made)
        self._take(options)
        self.inputs = [start, *carried, *self.given(example), *self.lifted]
        self.factorises = any("linalg" in str(node.target) for node in self.graph.graph.nodes)
        self.roughness = roughness(self.graph)
        self._threads = torch.get_num_threads()
        self.compiling = COMPILING * tracing
        self.path = program_path(self.graph, self.inputs, program_cache.place().folder)

    def carried(self, optimizer: OuterOptimizer) -> list[Tensor]:
        theta, measures, *state = super().carried(optimizer)
        gradient = (torch.zeros_like(theta),) if self._accumulates else ()
        return _Carried(theta, measures, gradient, tuple(state)).all

    def given(self, block: Block) -> list[Tensor]:
        """What stays the same for a block: progress, rates, options, constants, episodes in pieces."""

        def pieces(leaf: Tensor) -> Tensor:  # [length, seeds, tasks, …] -> [length · passes, seeds, piece, …]
            split: Tensor = leaf.unflatten(2, (self.passes, -1))
            return split.transpose(1, 2).flatten(0, 1).contiguous()

        rates = block.rates.to(block.progress.device)
        constants, episodes = trees.leaves(self._bound.constants), trees.leaves(block.episodes)
        return [block.progress, rates, self._options, *constants, *map(pieces, episodes)]

    def finish(self, optimizer: OuterOptimizer, carried: Sequence[Tensor], first: int, last: int) -> Measured:
        theta, measures, _, state = _Carried.of(carried, accumulates=self._accumulates)
        return super().finish(optimizer, [theta, measures, *state], first, last)

    def threads(self, most: int) -> int:
        return min(most, self._threads)

    def kept(self) -> Run | None:
        compiled = load(self.path, self.inputs[0].device.type)
        runs = Replay if self.inputs[0].is_cuda else Loop
        return None if compiled is None else runs(compiled)

    def compiled(self) -> Run:
        at, *others = self.inputs
        if at.is_cuda:
            return Replay(compile_program(self.graph, self.inputs, self.path))
        program = _WhileLoop(self.graph, self.carries)
        return Loop(compile_program(program, [at, at.clone(), *others], self.path))

    def _pass(self, at: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        carried = _Carried.of(tensors[: self.carries], accumulates=self._accumulates)
        theta, measures, state = carried.theta, carried.measures, carried.state
        progress, rates, options, *data = tensors[self.carries :]
        before = len(trees.leaves(self._bound.constants))
        constants, episodes = data[:before], [leaf.index_select(0, at.reshape(1))[0] for leaf in data[before:]]
        step = (at // self.passes).reshape(1)
        bound = replace(
            self._bound,
            constants=trees.replace_leaves(self._bound.constants, constants),
            numbers=dict(zip(self.options, options.unbind(1), strict=True)),
        )
        meta = trees.tree_map(lambda leaf: leaf.detach().requires_grad_(), trees.unravel(theta, self._bound.meta))
        with torch.enable_grad():
            result = vmap_plan(bound, self._reduction, clip=self._clip)(
                meta, trees.replace_leaves(self._like, episodes), progress.index_select(0, step)[0]
            )
        gradient = trees.ravel(result.gradient)
        row = torch.stack([result.losses.mean(-1), *(result.logs[name].mean(-1) for name in self.logs)], -1)
        update, now = functionalize(self._update), rates.index_select(0, step)[0]
        if not self._accumulates:
            theta, state = update(theta, state, gradient, now)
            measures = measures.index_copy(0, step, row[None])
            return (at + 1, *_Carried(theta, measures, (), tuple(state)).all)
        share = 1.0 if self._reduction == "sum" else 1.0 / self.passes
        if self._bound.algorithm.statistics and self._reduction == "sum":  # which are means all the same
            carried_on = columns(self._bound.meta, self._bound.algorithm.statistics)
            gradient = torch.where(carried_on, gradient / self.passes, gradient)
        summed = carried.gradient[0] + share * gradient
        is_last = at % self.passes == self.passes - 1
        new_theta, new_state = update(theta, state, summed, now)
        theta = torch.where(is_last, new_theta, theta)
        state = tuple(torch.where(is_last, new, old) for new, old in zip(new_state, state, strict=True))
        summed = torch.where(is_last, torch.zeros_like(summed), summed)
        measures = measures.index_add(0, step, row[None] / self.passes)
        return (at + 1, *_Carried(theta, measures, (summed,), state).all)


class _WhileLoop(nn.Module):
    """(first, last, carried …, given …) -> carried …, a pass of the graph for each position in between."""

    def __init__(self, graph: GraphModule, carried: int) -> None:
        super().__init__()
        self._graph, self._carried = graph, carried

    def forward(self, first: Tensor, last: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        carried, given = tensors[: self._carried], tensors[self._carried :]

        def goes_on(at: Tensor, *others: Tensor) -> Tensor:
            return at < others[self._carried]

        def body(at: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
            carried, given = others[: self._carried], others[self._carried + 1 :]
            passed: tuple[Tensor, ...] = self._graph(at, *carried, *given)
            return passed

        loop: Any = while_loop_op
        final: tuple[Tensor, ...] = loop(goes_on, body, (first, *carried), (last, *given))
        return final[1:]


@final
class Loop(Run):
    """Runs a compiled `_WhileLoop`."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled

    def __call__(self, first: int, last: int, carried: Sequence[Tensor], given: Sequence[Tensor]) -> Sequence[Tensor]:
        return self._compiled(torch.tensor(first), torch.tensor(last), *carried, *given)


@final
class Replay(Run):
    """Runs a compiled pass again and again, on a GPU as a CUDA graph: one launch a pass, nothing read in between."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._carried: list[Tensor] = []
        self._given: list[Tensor] = []
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, first: int, last: int, carried: Sequence[Tensor], given: Sequence[Tensor]) -> Sequence[Tensor]:
        at = torch.tensor(first, device=carried[0].device)
        if not self._carried:
            self._carried, self._given = [t.clone() for t in (at, *carried)], [t.clone() for t in given]
            if at.is_cuda:
                self._capture()
        for own, new in zip([*self._carried, *self._given], [at, *carried, *given], strict=True):
            own.copy_(new)
        for _ in range(first, last):
            if self._graph is None:
                self._pass()
            else:
                self._graph.replay()
        return [t.clone() for t in self._carried[1:]]

    def _pass(self) -> None:
        for own, new in zip(self._carried, self._compiled(*self._carried, *self._given), strict=True):
            own.copy_(new)

    def _capture(self) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._carried[0].zero_()  # a position that every block has
                self._pass()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._pass()


def _piece(tasks: int, chunk: int) -> int:
    """The most tasks, at most `chunk`, that go into `tasks` without a rest."""
    return max(size for size in range(1, min(tasks, chunk) + 1) if tasks % size == 0)
