"""Meta-steps as a graph, and the same compiled: what every way to make machine code of them has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from mamlzoo.engine.binding import Bound
from mamlzoo.engine.blocks import Block
from mamlzoo.engine.compilation.numeric_inputs import numbers_of
from mamlzoo.engine.outer_optimizer import OuterOptimizer
from mamlzoo.engine.steps import Add, EagerSteps, Measured, Steps, joined


class Run(ABC):
    """Makes passes of a block by machine code."""

    @abstractmethod
    def __call__(self, first: int, last: int, carried: Sequence[Tensor], given: Sequence[Tensor]) -> Sequence[Tensor]:
        """What is carried after the passes first … last − 1."""

    def adding(self, add: Add) -> Run | None:
        """The same, but that `add` is called before the outer optimiser; None where it cannot be."""
        return None


class TracedSteps(ABC):
    """Meta-steps as a graph, and what goes in and out of it. Nothing is compiled yet.

    What a pass hands to the next begins with θ and with what was measured, [meta-steps, seeds, 1 + scalars], and ends
    with the optimiser's state.

    Attributes:
        logs: the names of the algorithm's own scalars.
        options: the names of its options that are inputs; the others are constants of the graph.
        length, seeds: of a block.
        passes: of the graph, for one meta-step.
        inputs: examples of what goes into the graph, that which is given last.
        lifted: tensors that the graph holds, to be given last of all.
        factorises: whether it does linear algebra, which can fail.
        roughness: how far the roughest numbers that it computes with are apart, relatively.
        compiling: seconds that compiling will take, about.
        path: where the compiled graph is, or will be, kept.
    """

    passes = 1
    factorises = False
    inputs: list[Tensor]
    lifted: list[Tensor]
    roughness: float
    compiling: float
    path: Path
    options: tuple[str, ...]

    def __init__(self, bound: Bound, example: Block, logs: Sequence[str]) -> None:
        self._bound, self._like, self.logs = bound, example.episodes, list(logs)
        self.length, self.seeds = example.episodes.support.y.shape[:2]
        self._take(())

    def _take(self, options: tuple[str, ...]) -> None:
        """Take these options of the algorithm as inputs."""
        self.options, self._options = options, numbers_of(self._bound, options)

    @abstractmethod
    def kept(self) -> Run | None:
        """The machine code as it was compiled before; None if it was not.

        Raises:
            DamagedError: what was compiled is not fit to be used, and was removed.
            CannotCompileError: it cannot be loaded.
        """

    @abstractmethod
    def compiled(self) -> Run:
        """The machine code, made and kept.

        Raises:
            CannotCompileError: there is no compiler, or it cannot.
        """

    @abstractmethod
    def threads(self, most: int) -> int:
        """How many of the threads that there may be are to make these meta-steps."""

    @abstractmethod
    def given(self, block: Block) -> list[Tensor]:
        """What stays the same for a block, but for what is lifted."""

    def carried(self, optimizer: OuterOptimizer) -> list[Tensor]:
        """What the first pass is handed."""
        measures = optimizer.theta.new_zeros(self.length, self.seeds, 1 + len(self.logs))
        return [optimizer.theta, measures, *optimizer.state()]

    def fitting(self, given: list[Tensor]) -> list[Tensor]:
        """What is given to the program, once its sizes are known to be those that the program was made for.

        Raises:
            ValueError: they are others; the program would read and write beyond its tensors.
        """
        made_for, sizes = (
            [(leaf.shape, leaf.dtype) for leaf in leaves] for leaves in (self.inputs[-len(given) :], given)
        )
        if made_for != sizes:
            raise ValueError(f"a program that was compiled for {made_for} was given {sizes}")
        return given

    def finish(self, optimizer: OuterOptimizer, carried: Sequence[Tensor], first: int, last: int) -> Measured:
        """Take θ and the optimiser's state from the last pass; what was measured on the way."""
        theta, measures, *state = carried
        optimizer.load(theta, state)
        losses, *logs = measures[first:last].unbind(-1)
        return Measured(losses, dict(zip(self.logs, logs, strict=True)))


class CompiledSteps(Steps):
    """Traced meta-steps as machine code. The first of all is made eagerly: torch's optimisers get their state in it."""

    def __init__(
        self, optimizer: OuterOptimizer, eager: EagerSteps, traced: TracedSteps, run: Run, threads: int = 1
    ) -> None:
        super().__init__(optimizer, threads)
        self._eager, self._traced, self._run = eager, traced, run
        self._block: Block | None = None
        self._given: list[Tensor] = []

    def advance(self, block: Block, first: int, last: int) -> Measured:
        if not self.optimizer.started:
            begun = self._eager.advance(block, first, first + 1)
            return begun if first + 1 == last else joined([begun, self.advance(block, first + 1, last)])
        try:
            return self.compiled(block, first, last)
        except RuntimeError:
            if not self._traced.factorises:
                raise
            # A matrix of NaN has no eigenvalues: torch raises, for all seeds, where one diverges.
            return self._eager.advance(block, first, last)

    def compiled(self, block: Block, first: int, last: int) -> Measured:
        """Make meta-steps first … last − 1 of the block by the program alone; the optimiser must have its state.

        Raises:
            RuntimeError: the program fails; nothing has changed then.
        """
        traced = self._traced
        if block is not self._block:
            self._block, self._given = block, traced.fitting([*traced.given(block), *traced.lifted])
        start, end = first * traced.passes, last * traced.passes
        carried = self._run(start, end, traced.carried(self.optimizer), self._given)
        return traced.finish(self.optimizer, carried, first, last)

    def adding(self, add: Add) -> CompiledSteps | None:
        run = self._run.adding(add)
        if run is None:
            return None
        return CompiledSteps(self.optimizer, self._eager.adding(add), self._traced, run, self.threads)
