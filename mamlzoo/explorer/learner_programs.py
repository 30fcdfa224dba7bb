"""What an algorithm does with a support set, as programs of a page: φ⁰, an adaptation step, and what is predicted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Batch, Fast, MetaParams
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.numeric_options import numeric_options
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.readings import reading_of
from mamlzoo.engine.adaptation import JUDGED
from mamlzoo.engine.batch_norm import batch_norms
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.compilation.graph import as_it_is
from mamlzoo.engine.compilation.program_cache import CannotCompileError
from mamlzoo.engine.native.operations.decompositions import decompositions
from mamlzoo.explorer.lowering import UncoveredError
from mamlzoo.explorer.numbers import Pool
from mamlzoo.explorer.translation import lowered
from mamlzoo.inference.fits import SHOWN

RATE = "inner_lr"
"""The option that a slider of the page is for, of algorithms that use it as a number."""


@dataclass
class Carried:
    """A learner of one seed, ready to be written into a page.

    Attributes:
        task: whose outputs it predicts.
        bound: its θ; of one seed.
        x: where predictions are wanted, [n, 1].
        pool: takes the arrays and programs.
        rate: the inner rate that the page begins with; None where there is no slider for it.
    """

    task: Task
    bound: Bound
    x: Tensor
    pool: Pool
    rate: float | None = field(init=False)

    def __post_init__(self) -> None:
        self.rate = numeric_options(self.bound.algorithm).get(RATE)

    def theta(self) -> list[int]:
        """The arrays of θ's tensors, in their order."""
        return [self.pool.array(leaf[0]) for leaf in trees.leaves(self.bound.meta)]

    def programs(self, support: Batch, steps: int) -> dict[str, Any]:
        """The programs for a support set of that size, by number.

        Args:
            support: x and y, each [n, 1].
            steps: at most so many adaptation steps are made.

        Returns:
            start: (θ, rate, x, y) -> φ.
            steps: of each step (θ, rate, φ, x, y) -> φ; from the last one on they are all alike.
            reads: (θ, rate, φ, at x) -> the points, and the ends of 90% intervals where there are any; after no step,
                and after some.

        Raises:
            UncoveredError: it does what no page can.
        """
        learner = self.bound.learner
        if learner.norms == "support" and batch_norms(learner.networks.values()):
            raise UncoveredError("its predictions need the statistics of the support set")
        try:
            return self._programs(support, steps)
        except (CannotCompileError, UncoveredError):
            if self.rate is None:
                raise
        self.rate = None  # it is used for more than numbers are
        return self._programs(support, steps)

    def _programs(self, support: Batch, steps: int) -> dict[str, Any]:
        meta = trees.index(trees.stop_gradient(self.bound.meta), 0)
        start, fast = self._made(self._start, (meta, support))
        made, reads = list[int](), [self._made(self._read, (meta, fast, self.x))[0]]
        for step in range(1, steps + 1):
            number, fast = self._made(lambda *given, at=step: self._adapted(at, *given), (meta, fast, support))
            if made and number == made[-1]:
                break  # what is drawn alone knows the number of a step, so all further ones are the same
            made.append(number)
        if made:
            reads.append(self._made(self._read, (meta, fast, self.x))[0])
        return {"start": start, "steps": made, "reads": reads}

    def _made(self, function: Callable[..., Any], given: Any) -> tuple[int, Any]:
        """A function of (rate, *given) as a program, and its outcome."""
        like = (torch.tensor(self.rate or 0.0), *given)
        outcome: Any = None

        def flat(*leaves: Tensor) -> list[Tensor]:
            nonlocal outcome
            outcome = function(*trees.replace_leaves(like, list(leaves)))
            return trees.leaves(outcome)

        inputs = trees.leaves(like)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is done with a tensor in place of a number
            graph, lifted = as_it_is(flat, inputs, decompositions(), functional=True)
            number = self.pool.program(lowered(graph, inputs, lifted, self.pool))
        with torch.no_grad():
            return number, function(*like)

    def _learner(self, rate: Tensor, meta: MetaParams, support: Batch | None, place: int) -> tuple[Any, Learner]:
        bound = self.bound if self.rate is None else self.bound.with_numbers({RATE: rate})
        constants = trees.index(bound.constants, 0)
        own = bound.learner_for(constants, meta, torch.tensor(0), support)
        return bound.algorithm, own.branch(place)

    def _start(self, rate: Tensor, meta: MetaParams, support: Batch) -> Fast:
        algorithm, learner = self._learner(rate, meta, support, 0)
        return algorithm.start(learner, meta, support)

    def _adapted(self, step: int, rate: Tensor, meta: MetaParams, fast: Fast, support: Batch) -> Fast:
        algorithm, learner = self._learner(rate, meta, support, step)
        return algorithm.adapt(learner, meta, fast, support)

    def _read(self, rate: Tensor, meta: MetaParams, fast: Fast, x: Tensor) -> list[Tensor]:
        algorithm, learner = self._learner(rate, meta, None, JUDGED)
        points, distribution = reading_of(self.task, algorithm.predict(learner, meta, fast, x))
        has_band = distribution is not None and distribution.reaches(SHOWN)
        return [points, *(distribution.interval(SHOWN) if has_band and distribution is not None else ())]
