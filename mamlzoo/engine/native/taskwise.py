"""Meta-steps task by task: one task's meta-gradient and the outer optimiser, each a graph, as one C++ function.

A batched graph goes operation by operation through the tensors of all tasks, which no cache holds. Here all of a task
is computed before the next one begins, in a few tens of KiB that are used again and again:

    for each meta-step:
        for each seed and task:     what tasks share, once a seed; the task's gradient, added to the seed's
        θ, state ← the outer optimiser

Several threads share the (seed, task) pairs of a meta-step between them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, final

import torch
from torch import Tensor
from torch.func import functionalize
from torch.fx import GraphModule

from mamlzoo import trees
from mamlzoo.contracts.data import MetaParams
from mamlzoo.engine.binding import Bound, Reduction
from mamlzoo.engine.blocks import Block
from mamlzoo.engine.carried_statistics import moves
from mamlzoo.engine.compilation import program_cache
from mamlzoo.engine.compilation.graph import as_it_is, roughness
from mamlzoo.engine.compilation.numeric_inputs import numbers_of, with_most
from mamlzoo.engine.compilation.program_cache import CannotCompileError
from mamlzoo.engine.compilation.traced_steps import Run, TracedSteps
from mamlzoo.engine.gradients import of_a_task
from mamlzoo.engine.native import toolchain
from mamlzoo.engine.native.expressions import Buffer, Expression
from mamlzoo.engine.native.operations.decompositions import decompositions
from mamlzoo.engine.native.source import Given, Source, program
from mamlzoo.engine.native.statements.loops import Store
from mamlzoo.engine.native.statements.nests import C_TYPES
from mamlzoo.engine.native.translation import translated
from mamlzoo.engine.native.writer import UncoveredError, cast
from mamlzoo.engine.outer_optimizer import OuterOptimizer
from mamlzoo.engine.steps import Add

STARTING, A_STATEMENT = 0.3, 0.01
"""Seconds that a compiler takes, and for each statement."""


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
        self._reduction, self._clip, self._optimizer = reduction, clip, optimizer
        if any(leaf.dtype not in C_TYPES or leaf.device.type != "cpu" for leaf in self.given(example)):
            raise UncoveredError("tensors of other dtypes or devices")
        update = self._update_graph(example)
        written = with_most(bound, lambda names: self._written(example, update, names))
        self._take(written.options)
        self._source = written.source
        self.inputs, self.lifted = written.given.all, [*written.given.task_lifted, *written.given.update_lifted]
        self.roughness = written.roughness
        self.path = toolchain.program_path(self._source.text, program_cache.place().folder)
        self.compiling = STARTING + A_STATEMENT * self._source.statements

    def given(self, block: Block) -> list[Tensor]:
        """Progress, rates, options, constants [seeds, …] and episodes [meta-steps, seeds, meta-batch, …]."""
        constants, episodes = trees.leaves(self._bound.constants), trees.leaves(block.episodes)
        return [leaf.contiguous() for leaf in (block.progress, block.rates, self._options, *constants, *episodes)]

    def kept(self) -> Run | None:
        library = toolchain.load(self.path)
        return None if library is None else Call(library, self._source)

    def compiled(self) -> Run:
        toolchain.compiled(self._source.text, self.path)
        run = self.kept()
        if run is None:
            raise CannotCompileError("what was compiled is not there")
        return run

    def threads(self, most: int) -> int:
        return self._source.threads(most)

    def _task_graph(self, example: Block, options: dict[str, Tensor]) -> tuple[GraphModule, list[Tensor]]:
        """(progress, options, θ, constants, episode) of a task -> what it adds to the gradient, by leaf, and logs."""
        bound, tasks = self._bound, example.episodes.support.y.shape[2]
        meta, constants = trees.stop_gradient(trees.index((bound.meta, bound.constants), 0))
        like = options, meta, constants, trees.index(example.episodes, (0, 0, 0))
        weight = 1.0 if self._reduction == "sum" else 1.0 / tasks

        def of_one(progress: Tensor, *leaves: Tensor) -> list[Tensor]:
            numbers, meta, constants, episode = trees.replace_leaves(like, list(leaves))
            own = bound.with_numbers(numbers)
            meta = trees.tree_map(lambda leaf: leaf.detach().requires_grad_(), meta)
            with torch.enable_grad():
                gradient, loss, logs, carried = of_a_task(own, meta, constants, episode, progress, self._clip)
            share = trees.tree_map(lambda leaf: weight * leaf, gradient)
            measured = [loss, *(logs[name] for name in self.logs)]
            return [*trees.leaves(share | _moves(meta, carried, tasks)), *(each / tasks for each in measured)]

        return as_it_is(of_one, [example.progress[0], *trees.leaves(like)], decompositions(), functional=True)

    def _update_graph(self, example: Block) -> tuple[GraphModule, list[Tensor]]:
        """(θ, state, gradient, rates) of all seeds -> (θ, state) after a step of the outer optimiser."""
        optimizer = self._optimizer

        def of_all(theta: Tensor, *tensors: Tensor) -> list[Tensor]:
            *state, gradient, rates = tensors
            new, after = functionalize(optimizer.update)(theta, state, gradient, rates)
            return [new, *after]

        inputs = [optimizer.theta, *optimizer.state(), torch.zeros_like(optimizer.theta), example.rates[0]]
        return as_it_is(of_all, inputs, decompositions(), functional=True)

    def _written(self, example: Block, update: tuple[GraphModule, list[Tensor]], options: tuple[str, ...]) -> _Written:
        """The whole program, with these of the algorithm's options as inputs."""
        bound, (of_all, update_lifted) = self._bound, update
        numbers = numbers_of(bound, options)
        of_one, task_lifted = self._task_graph(example, dict(zip(options, numbers[0], strict=True)))
        tensors = [bound.constants, example.episodes, task_lifted, update_lifted]
        given = Given(
            self._optimizer.theta,
            self._optimizer.state(),
            example.progress.contiguous(),
            example.rates.contiguous(),
            numbers,
            *([leaf.contiguous() for leaf in trees.leaves(each)] for each in tensors),
        )
        return _Written(options, given, roughness(of_one, of_all), self._source_of(of_one, of_all, given))

    def _source_of(self, task: GraphModule, update: GraphModule, given: Given) -> Source:
        """The whole program in C++."""
        kind, measured = given.theta.dtype, 1 + len(self.logs)
        shapes = [leaf.shape[1:] for leaf in trees.leaves(self._bound.meta)]
        numbers = given.theta.shape[1]

        of_task, shares = translated(
            task,
            [
                Expression.of(Buffer(1, given.progress.dtype, "progress"), ()),
                *_pieces(Buffer(given.options.shape[1], kind, "options"), [()] * given.options.shape[1]),
                *_pieces(Buffer(numbers, kind, "theta"), shapes),
                *(_whole(leaf[0], f"constant{at}") for at, leaf in enumerate(given.constants)),
                *(_whole(leaf[0, 0, 0], f"episode{at}", varies=True) for at, leaf in enumerate(given.episodes)),
                *(_whole(leaf, f"lifted{at}") for at, leaf in enumerate(given.task_lifted)),
            ],
        )
        places = _pieces(Buffer(numbers, kind, "gradient", varies=True), shapes)
        places += _pieces(Buffer(measured, kind, "measures", varies=True), [()] * measured)
        for place, share in zip(places, shares, strict=True):
            of_task.add(Store(place, cast(share, kind), adds=True))

        carried = [given.theta, *given.state]
        of_update, moved = translated(
            update,
            [
                *(_whole(leaf, f"before{at}") for at, leaf in enumerate(carried)),
                _whole(given.theta, "gradient"),
                _whole(given.rates[0], "rates"),
                *(_whole(leaf, f"lifted{at}") for at, leaf in enumerate(given.update_lifted, len(given.task_lifted))),
            ],
        )
        for at, (tensor, value) in enumerate(zip(carried, moved, strict=True)):
            of_update.put(value, f"after{at}", tensor.dtype)
        return program(given, measured, of_task.statements, of_update.statements)


class _Written(NamedTuple):
    """A program, and what it is given.

    Attributes:
        options: the names of those that are inputs.
        roughness: of its graphs.
    """

    options: tuple[str, ...]
    given: Given
    roughness: float
    source: Source


def _moves(meta: MetaParams, carried: MetaParams, tasks: int) -> MetaParams:
    """What one task adds to the moves of the statistics that are carried."""
    own, new = trees.tree_map(lambda leaf: leaf[None], (meta, trees.tree_map(lambda leaf: leaf[None], carried)))
    found: MetaParams = trees.index(moves(own, new, tasks), 0)
    return found


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


@final
class Call(Run):
    """Runs a program that is loaded."""

    def __init__(self, library: ctypes.CDLL, source: Source, add: Add | None = None) -> None:
        self._library, self._source, self._add = library, source, add

    def __call__(self, first: int, last: int, carried: Sequence[Tensor], given: Sequence[Tensor]) -> Sequence[Tensor]:
        theta, measures, *state = carried
        threads = self._source.threads(torch.get_num_threads())
        # Each meta-step goes from one of them to the other.
        now = [tensor.clone(memory_format=torch.contiguous_format) for tensor in (theta, *state)]
        after = [torch.empty_like(tensor) for tensor in now]
        scratch = torch.empty(self._source.scratch(threads), dtype=torch.uint8)
        totals = theta.new_empty(len(theta), theta.shape[1] + measures.shape[2])
        numbers = (ctypes.c_long(number) for number in (first, last, threads))
        with _called(self._add, totals) as add:
            self._library.run(*numbers, *map(_addresses, (now, after, [measures], given, [scratch, totals])), add)
        theta, *state = after if (last - first) % 2 else now
        return [theta, measures, *state]

    def adding(self, add: Add) -> Call:
        return Call(self._library, self._source, add)


ADDED = ctypes.CFUNCTYPE(ctypes.c_int)
"""What the program calls once a meta-step: whether to end there."""


@contextmanager
def _called(add: Add | None, totals: Tensor) -> Iterator[object]:
    """What adds up these numbers in place, as a program calls it; None where nothing is to be added."""
    if add is None:
        yield ADDED(0)
        return
    wrong: list[BaseException] = []

    def added() -> int:
        try:
            totals.copy_(add(totals))
        except BaseException as error:  # which cannot pass through the program
            wrong.append(error)
        return len(wrong)

    yield ADDED(added)
    if wrong:
        raise wrong[0]


def _addresses(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
