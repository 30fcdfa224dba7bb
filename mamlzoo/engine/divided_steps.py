"""Meta-steps of several workers: each makes those of its own seeds, or its own tasks' part of every gradient."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.engine.binding import Bound, Reduction
from mamlzoo.engine.blocks import Block
from mamlzoo.engine.carried_statistics import columns
from mamlzoo.engine.division import Division
from mamlzoo.engine.outer_optimizer import OuterOptimizer
from mamlzoo.engine.plan_choice import Training
from mamlzoo.engine.steps import Add, Measured, Piece, Steps, joined


class DividedSteps(Steps):
    """What workers agree on: how long to go on, and which seeds have diverged."""

    def __init__(self, optimizer: OuterOptimizer, own: Steps, division: Division) -> None:
        """Divide.

        Args:
            own: what this worker does itself.
        """
        super().__init__(optimizer, own.threads)
        self._own, self._division = own, division

    @property
    def seeds(self) -> int:
        return self._division.seeds

    def agreed(self, steps: int) -> int:
        return self._division.workers.told(steps)


@final
class StepsOfSeeds(DividedSteps):
    """Each worker trains its own seeds; what was measured is told to all after every stretch."""

    def __init__(self, own: Steps, division: Division) -> None:
        """Divide.

        Args:
            own: of this worker's seeds.
        """
        super().__init__(own.optimizer, own, division)

    def advance(self, block: Block, first: int, last: int) -> Measured:
        return self._division.all_seeds(self._own.advance(block, first, last), dim=1)

    def stretch(self, block: Block, first: int, ends: Sequence[int]) -> list[Piece]:
        own = self._own.stretch(block, first, ends)
        # A word has its price by the tensor: so it is one long piece that is told.
        measured, finite = self._division.all_seeds(
            (joined([piece.measured for piece in own]), torch.stack([piece.finite for piece in own])), dim=1
        )
        places = [slice(start - first, end - first) for start, end in itertools.pairwise([first, *ends])]
        return [Piece(trees.index(measured, at), row) for at, row in zip(places, finite, strict=True)]


@final
class StepsOfTasks(DividedSteps):
    """Each worker has the gradient of its own tasks; the outer optimiser, the same in each, has the sum of all."""

    def advance(self, block: Block, first: int, last: int) -> Measured:
        return self._own.advance(block, first, last)

    def stretch(self, block: Block, first: int, ends: Sequence[int]) -> list[Piece]:
        pieces = super().stretch(block, first, ends)
        # Processors that round otherwise would let θ drift apart.
        theta, finite = self._division.workers.told(
            (self.optimizer.theta.cpu().clone(), torch.stack([piece.finite for piece in pieces]))
        )
        self.optimizer.theta.copy_(theta)
        return [piece._replace(finite=row) for piece, row in zip(pieces, finite, strict=True)]


class Addition:
    """Adds up over workers what each has of a meta-step: for each seed its gradient, and what was measured.

    The meta-batch's mean is g = Σ_w (n_w / n)·g_w of workers w that have n_w of n tasks and the mean gradient g_w over
    these; its sum is g = Σ_w g_w. What is measured goes along, so there is one word a meta-step.
    """

    def __init__(self, bound: Bound, reduction: Reduction, division: Division) -> None:
        """Add up for this worker's tasks."""
        tasks = division.own_tasks
        self._workers, self._share = division.workers, (tasks.stop - tasks.start) / division.meta_batch
        means = columns(bound.meta, bound.algorithm.statistics) | (reduction == "mean")
        self._weights = torch.where(means, self._share, 1.0)

    def __call__(self, own: Tensor) -> Tensor:
        """The sum over all workers of [seeds, numbers of θ and then of what was measured]."""
        if own.shape[1] > len(self._weights):  # the first time: how much is measured, nobody said before
            measured = own.shape[1] - len(self._weights)
            self._weights = torch.nn.functional.pad(self._weights, (0, measured), value=self._share).to(own)
        return self._workers.total(own * self._weights)


@final
class KeptGradients(Steps):
    """Meta-steps of a program that has an optimiser in it, and cannot be entered between the gradient and that.

    So that optimiser keeps the gradient and does nothing else: SGD with momentum makes b ← μ·b + g, and b = 0 before
    (`keeping_gradients`). The run's own is called from Python.
    """

    def __init__(self, optimizer: OuterOptimizer, own: Steps, carried: Tensor, add: Add) -> None:
        """Wrap.

        Args:
            optimizer: the run's.
            own: their optimiser keeps the gradient.
            carried: which numbers of θ are carried, and have no gradient.
        """
        super().__init__(optimizer, own.threads)
        self._own, self._carried, self._add = own, carried, add

    def advance(self, block: Block, first: int, last: int) -> Measured:
        rows = []
        for step in range(first, last):
            theta = self.optimizer.theta
            self._own.optimizer.load(theta, [torch.zeros_like(kept) for kept in self._own.optimizer.state()])
            measured = self._own.advance(block, step, step + 1)
            kept = torch.cat(self._own.optimizer.state(), 1)
            # What is carried is no gradient to an optimiser: it was moved by it.
            gradient = torch.where(self._carried, theta - self._own.optimizer.theta, kept)
            means = [leaf[0][:, None] for leaf in trees.leaves(measured)]
            gradient, *means = self._add(torch.cat([gradient, *means], 1)).split(
                [gradient.shape[1], *[1] * len(means)], 1
            )
            self.optimizer.step(
                trees.unravel(gradient, trees.stop_gradient(self.optimizer.meta)), block.rates[step].tolist()
            )
            rows.append(trees.replace_leaves(measured, [mean.T.clone() for mean in means]))
        return joined(rows)


def keeping_gradients(training: Training) -> Training:
    """The same, but for an optimiser that does nothing with gradients but keep the last one."""
    return replace(
        training,
        optimizer="sgd",
        options={"momentum": 0.5},
        ema=None,
        clip_norm=training.clip_of_task,
        clip_per="task",
    )
