"""Meta-steps task by task: one task's meta-gradient and the outer optimiser, each a graph, as one C++ function.

A batched graph goes operation by operation through the tensors of all tasks, which no cache holds. Here all of a task is
computed before the next one begins, in a few tens of KiB that are used again and again:

    for each meta-step:
        for each seed and task:     what tasks share, once a seed; the task's gradient, added to the seed's
        θ, state ← the outer optimiser

Several threads share the (seed, task) pairs of a meta-step between them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functionalize

from mamlzoo import trees
from mamlzoo.engine.binding import Bound, Reduction
from mamlzoo.engine.blocks import Block
from mamlzoo.engine.carried_statistics import moves
from mamlzoo.engine.compilation import program_cache
from mamlzoo.engine.compilation.graph import as_it_is, roughness
from mamlzoo.engine.compilation.program_cache import CannotCompileError
from mamlzoo.engine.compilation.traced_steps import Run, TracedSteps
from mamlzoo.engine.gradients import of_a_task
from mamlzoo.engine.native import toolchain
from mamlzoo.engine.native.expressions import Buffer, Expression
from mamlzoo.engine.native.operations.decompositions import decompositions
from mamlzoo.engine.native.source import Sizes, Source, program
from mamlzoo.engine.native.statements.loops import C_TYPES, Store
from mamlzoo.engine.native.translation import translated
from mamlzoo.engine.native.writer import UncoveredError, cast
from mamlzoo.engine.outer_optimizer import OuterOptimizer

A_STATEMENT = 0.01
"""Seconds that compiling a statement takes, about."""


class TaskwiseSteps(TracedSteps):
    """The meta-gradient of one task and the outer optimiser, in C++."""

    def __init__(
        self,
        bound: Bound,
        reduction: Reduction,
        optimizer: OuterOptimizer,
        example: Block,
        logs: Sequence[str],
        clip: float | None = None,
    ) -> None:
        """Trace and translate.

        Args:
            optimizer: has made a step, so that its state is there.
            example: a block of the shapes to come.
            logs: the names of the algorithm's own scalars.
            clip: the largest norm of a task's gradient; None: any.

        Raises:
            CannotCompileError: something depends on a tensor's value, or a graph holds what is not covered.
        """
        super().__init__(bound, example, logs)
        self._reduction, self._clip, self._update = reduction, clip, optimizer.update
        self._tasks = example.episodes.support.y.shape[2]
        given = self.given(example)
        if any(not leaf.is_contiguous() or leaf.dtype not in C_TYPES or leaf.device.type != "cpu" for leaf in given):
            raise UncoveredError("tensors that are not dense, of other dtypes or devices")
        self._theta, self._state = optimizer.theta, optimizer.state()
        task, task_lifted = self._task_graph(example)
        update, update_lifted = self._update_graph(example)
        self.lifted = [tensor.contiguous() for tensor in (*task_lifted, *update_lifted)]
        self.inputs = [*given, *self.lifted]
        self.roughness = roughness(task, update)
        self._source = self._written(task, update, given, len(task_lifted))
        self.path = toolchain.program_path(self._source.text, program_cache.place().folder)
        self.compiling = 0.5 + A_STATEMENT * self._source.statements

    def given(self, block: Block) -> list[Tensor]:
        """Progress, rates, constants [seeds, …] and episodes [meta-steps, seeds, meta-batch, …]."""
        leaves = [block.progress, block.rates, *trees.leaves(self._bound.constants), *trees.leaves(block.episodes)]
        return [leaf.contiguous() for leaf in leaves]

    def kept(self) -> Run | None:
        library = toolchain.load(self.path)
        return None if library is None else self._run(library)

    def compiled(self) -> Run:
        toolchain.compiled(self._source.text, self.path)
        run = self.kept()
        if run is None:
            raise CannotCompileError("what was compiled is not there")
        return run

    def _run(self, library: ctypes.CDLL) -> Run:
        return Call(library, self._source)

    def _task_graph(self, example: Block) -> tuple[Any, list[Tensor]]:
        """(progress, θ, constants, an episode) of a task -> its share of the gradient, by leaf, and of what is measured."""
        bound, tasks = self._bound, self._tasks
        meta, constants = trees.stop_gradient(trees.index((bound.meta, bound.constants), 0))
        episode = trees.index(self._like, (0, 0, 0))
        parts = [trees.leaves(part) for part in (meta, constants, episode)]
        weight = 1.0 if self._reduction == "sum" else 1.0 / tasks

        def of_one(progress: Tensor, *leaves: Tensor) -> list[Tensor]:
            rest = iter(leaves)
            own_meta, own_constants, own_episode = (
                trees.replace_leaves(tree, [next(rest) for _ in part])
                for tree, part in zip((meta, constants, episode), parts, strict=True)
            )
            own_meta = trees.tree_map(lambda leaf: leaf.detach().requires_grad_(), own_meta)
            with torch.enable_grad():
                gradient, loss, logs, carried = of_a_task(
                    bound, own_meta, own_constants, own_episode, progress, self._clip
                )
            shares = trees.tree_map(lambda leaf: weight * leaf, gradient)
            alone = (
                trees.tree_map(lambda leaf: leaf[None], own_meta),
                trees.tree_map(lambda leaf: leaf[None, None], carried),
            )
            moved = trees.tree_map(lambda leaf: leaf[0], moves(*alone, tasks))
            return [
                *trees.leaves(shares | moved),
                *(each / tasks for each in (loss, *(logs[name] for name in self.logs))),
            ]

        return as_it_is(
            of_one, [example.progress[0], *(leaf for part in parts for leaf in part)], decompositions(), functional=True
        )

    def _update_graph(self, example: Block) -> tuple[Any, list[Tensor]]:
        """(θ, state, gradient, rates) of all seeds -> (θ, state) after a step of the outer optimiser."""
        held = len(self._state)

        def of_all(theta: Tensor, *tensors: Tensor) -> list[Tensor]:
            state, gradient, rates = list(tensors[:held]), tensors[held], tensors[held + 1]
            new, after = functionalize(self._update)(theta, state, gradient, rates)
            return [new, *after]

        inputs = [self._theta, *self._state, torch.zeros_like(self._theta), example.rates[0]]
        return as_it_is(of_all, inputs, decompositions())

    def _written(self, task: Any, update: Any, given: Sequence[Tensor], lifted: int) -> Source:
        """The whole program in C++."""
        kind = self._theta.dtype
        constants = len(trees.leaves(self._bound.constants))
        (progress, rates), fixed, episodes = given[:2], given[2 : 2 + constants], given[2 + constants :]
        meta = trees.leaves(trees.index(self._bound.meta, 0))
        numbers, measured = sum(leaf.numel() for leaf in meta), 1 + len(self.logs)

        theta = Buffer(numbers, kind, "theta")
        inputs = [Expression.of(Buffer(1, progress.dtype, "progress"), ())]
        inputs += _pieces(theta, [leaf.shape for leaf in meta])
        inputs += [_whole(leaf[0], f"constant{at}") for at, leaf in enumerate(fixed)]
        inputs += [_whole(leaf[0, 0, 0], f"episode{at}", varies=True) for at, leaf in enumerate(episodes)]
        inputs += [_whole(leaf, f"lifted{at}") for at, leaf in enumerate(self.lifted[:lifted])]
        own, shares = translated(task, inputs)
        gradient, measures = Buffer(numbers, kind, "gradient", True), Buffer(measured, kind, "measures", True)
        places = [*_pieces(gradient, [leaf.shape for leaf in meta]), *_pieces(measures, [()] * measured)]
        for place, share in zip(places, shares, strict=True):
            own.add(Store(place, cast(share, kind), adds=True))

        carried = [self._theta, *self._state]
        inputs = [_whole(leaf, f"before{at}") for at, leaf in enumerate(carried)]
        inputs += [
            _whole(self._theta, "gradient"),
            Expression.of(Buffer(rates.shape[1], rates.dtype, "rates"), rates.shape[1:]),
        ]
        inputs += [_whole(leaf, f"lifted{at}") for at, leaf in enumerate(self.lifted[lifted:], lifted)]
        after, moved = translated(update, inputs)
        for at, (tensor, value) in enumerate(zip(carried, moved, strict=True)):
            after.add(Store(_whole(tensor, f"after{at}"), cast(value, tensor.dtype)))
        sizes = Sizes(self.seeds, self._tasks, numbers, measured, rates.shape[1])
        return program(sizes, kind, own.statements, after.statements, carried, progress, fixed, episodes, self.lifted)


def _whole(tensor: Tensor, name: str, varies: bool = False) -> Expression:
    """All of an input, of which an example is given."""
    return Expression.of(Buffer(tensor.numel(), tensor.dtype, name, varies), tensor.shape)


def _pieces(buffer: Buffer, shapes: Sequence[Sequence[int]]) -> list[Expression]:
    """Tensors that lie one after another in a buffer."""
    found, first = [], 0
    for shape in shapes:
        found.append(Expression.of(buffer, shape, offset=first))
        first += found[-1].numel
    return found


class Call:
    """Runs a program that is loaded."""

    def __init__(self, library: ctypes.CDLL, source: Source) -> None:
        self._function, self._source = library.run, source
        self._function.restype = None

    def __call__(self, first: int, last: int, carried: Sequence[Tensor], given: Sequence[Tensor]) -> Sequence[Tensor]:
        theta, measures, *state = carried
        threads = self._source.threads(torch.get_num_threads())
        now = [tensor.clone(memory_format=torch.contiguous_format) for tensor in (theta, *state)]
        after = [torch.empty_like(tensor) for tensor in now]
        scratch = torch.empty(self._source.scratch(threads), dtype=torch.uint8)
        numbers = [ctypes.c_long(number) for number in (first, last, threads)]
        self._function(
            *numbers,
            _addresses(now),
            _addresses(after),
            _addresses([measures]),
            _addresses(given),
            _addresses([scratch]),
        )
        return [(after if (last - first) % 2 else now)[0], measures, *(after if (last - first) % 2 else now)[1:]]


def _addresses(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * max(1, len(tensors)))(*(tensor.data_ptr() for tensor in tensors))
