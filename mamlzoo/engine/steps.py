"""Meta-steps: what updates θ, through a part of a block of training episodes at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.engine.blocks import Block
from mamlzoo.engine.gradients import Gradients
from mamlzoo.engine.outer_optimizer import OuterOptimizer


class Measured(NamedTuple):
    """What meta-steps found out, as means over the meta-batch.

    Attributes:
        losses: meta-losses, [meta-steps, seeds].
        logs: the algorithm's own scalars, each [meta-steps, seeds].
    """

    losses: Tensor
    logs: dict[str, Tensor]


class Steps(ABC):
    """Meta-steps on the θ of an outer optimiser, to be made by `threads` threads."""

    def __init__(self, optimizer: OuterOptimizer, threads: int) -> None:
        self.optimizer, self.threads = optimizer, threads

    @abstractmethod
    def advance(self, block: Block, first: int, last: int) -> Measured:
        """Make meta-steps first … last − 1 of the block."""

    def finite(self) -> Tensor:
        """Of which seeds θ is a finite number everywhere, [seeds]."""
        return torch.isfinite(self.optimizer.theta).all(1)

    def agreed(self, steps: int) -> int:
        """How many meta-steps to make before the next word; where there are several workers, what the first says."""
        return steps


class EagerSteps(Steps):
    """One meta-step after another, each its gradient and then the outer optimiser."""

    def __init__(self, optimizer: OuterOptimizer, gradients: Gradients, threads: int = 1) -> None:
        super().__init__(optimizer, threads)
        self._gradients = gradients

    def advance(self, block: Block, first: int, last: int) -> Measured:
        rows, rates = [], block.rates[first:last].tolist()
        for step in range(first, last):
            episodes = trees.index(block.episodes, step)
            result = self._gradients(self.optimizer.meta, episodes, block.progress[step])
            self.optimizer.step(result.gradient, rates[step - first])
            rows.append(trees.tree_map(lambda leaf: leaf.mean(-1), Measured(result.losses, result.logs)))
        return trees.stack(rows)


def joined(parts: list[Measured]) -> Measured:
    """The meta-steps of several calls as one."""
    return trees.tree_map(lambda *leaves: torch.cat(leaves), *parts)
