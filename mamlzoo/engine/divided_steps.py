"""Meta-steps of several workers: each makes those of its own seeds, or its own tasks' part of every gradient."""

from __future__ import annotations

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
from mamlzoo.engine.steps import Measured, Steps


class DividedSteps(Steps):
    """What workers agree on: how long to go on, and which seeds have diverged. The first one's word counts."""

    def __init__(self, optimizer: OuterOptimizer, own: Steps, division: Division) -> None:
        """Divide.

        Args:
            own: what this worker does itself.
        """
        super().__init__(optimizer, own.threads)
        self._own, self._division = own, division

    def finite(self) -> Tensor:
        return self._division.workers.told(self._division.all_seeds(super().finite()).cpu())

    def agreed(self, steps: int) -> int:
        return self._division.workers.told(steps)


@final
class StepsOfSeeds(DividedSteps):
    """Each worker trains its own seeds; what was measured is told to all after every piece of work."""

    def __init__(self, own: Steps, division: Division) -> None:
        """Divide.

        Args:
            own: of this worker's seeds.
        """
        super().__init__(own.optimizer, own, division)

    def advance(self, block: Block, first: int, last: int) -> Measured:
        return self._division.all_seeds(self._own.advance(block, first, last), dim=1)


@final
class StepsOfTasks(DividedSteps):
    """Each worker has the gradient of its own tasks; the outer optimiser, the same in each, has the sum of all.

    The meta-batch's mean is g = Σ_w (n_w / n)·g_w of workers w that have n_w of n tasks and the mean gradient g_w over
    these; its sum is g = Σ_w g_w. What is measured goes along, so there is one word a meta-step.

    A worker's gradient is made by whatever plan there is, with an optimiser behind it that keeps it: SGD with momentum
    makes b ← μ·b + g, and b = 0 before (`keeping_gradients`).
    """

    def __init__(
        self, optimizer: OuterOptimizer, own: Steps, bound: Bound, reduction: Reduction, division: Division
    ) -> None:
        """Divide.

        Args:
            optimizer: the run's.
            own: of this worker's tasks; their optimiser keeps the gradient.
        """
        super().__init__(optimizer, own, division)
        tasks = division.own_tasks
        self._share = (tasks.stop - tasks.start) / division.meta_batch
        self._carried = columns(bound.meta, bound.algorithm.statistics)
        means = torch.ones_like(self._carried) if reduction == "mean" else self._carried
        self._weights = torch.where(means, self._share, 1.0).to(optimizer.theta)

    def advance(self, block: Block, first: int, last: int) -> Measured:
        rows = []
        for step in range(first, last):
            theta = self.optimizer.theta
            self._own.optimizer.load(theta, [torch.zeros_like(kept) for kept in self._own.optimizer.state()])
            measured = self._own.advance(block, step, step + 1)
            kept = torch.cat(self._own.optimizer.state(), 1)
            # What is carried is no gradient to an optimiser: it was moved by it.
            gradient = torch.where(self._carried, theta - self._own.optimizer.theta, kept)
            parts = [gradient * self._weights, *(self._share * leaf[0][:, None] for leaf in trees.leaves(measured))]
            gradient, *means = self._division.workers.total(torch.cat(parts, 1)).split(
                [gradient.shape[1], *[1] * (len(parts) - 1)], 1
            )
            self.optimizer.step(
                trees.unravel(gradient, trees.stop_gradient(self.optimizer.meta)), block.rates[step].tolist()
            )
            rows.append(trees.replace_leaves(measured, [mean.T.clone() for mean in means]))
        return trees.tree_map(lambda *leaves: torch.cat(leaves), *rows)

    def finite(self) -> Tensor:
        # Processors that round otherwise would let θ drift apart.
        self.optimizer.theta.copy_(self._division.workers.told(self.optimizer.theta.cpu().clone()))
        return super().finite()


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
