"""Meta-steps: what updates θ, through a part of a block of training episodes at a time."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, MetaParams
from mamlzoo.engine.blocks import Block
from mamlzoo.engine.gradients import Gradients, StepResult
from mamlzoo.engine.outer_optimizer import OuterOptimizer

Add = Callable[[Tensor], Tensor]
"""Adds up over all workers what each has of a meta-step: of a seed the gradient, loss and logs, [seeds, numbers]."""


class Measured(NamedTuple):
    """What meta-steps found out, as means over the meta-batch.

    Attributes:
        losses: meta-losses, [meta-steps, seeds].
        logs: the algorithm's own scalars, each [meta-steps, seeds].
    """

    losses: Tensor
    logs: dict[str, Tensor]


class Piece(NamedTuple):
    """What meta-steps came to; on the CPU.

    Attributes:
        measured: on the way.
        finite: of which seeds θ is a finite number everywhere after the last of them, [seeds].
    """

    measured: Measured
    finite: Tensor


class Steps(ABC):
    """Meta-steps on the θ of an outer optimiser, to be made by `threads` threads."""

    def __init__(self, optimizer: OuterOptimizer, threads: int) -> None:
        self.optimizer, self.threads = optimizer, threads

    @abstractmethod
    def advance(self, block: Block, first: int, last: int) -> Measured:
        """Make meta-steps first … last − 1 of the block."""

    def stretch(self, block: Block, first: int, ends: Sequence[int]) -> list[Piece]:
        """Make meta-steps of the block from number `first` on, in pieces that end before these numbers."""
        pieces = [
            Piece(self.advance(block, start, end), torch.isfinite(self.optimizer.theta).all(1))
            for start, end in itertools.pairwise([first, *ends])
        ]
        return trees.tree_map(lambda leaf: leaf.cpu(), pieces)  # once for all: it waits for the device

    @property
    def seeds(self) -> int:
        """How many seeds are trained, by all workers together."""
        return len(self.optimizer.theta)

    def agreed(self, steps: int) -> int:
        """How many meta-steps to make before the next word; where there are several workers, what the first says."""
        return steps

    def adding(self, add: Add) -> Steps | None:
        """The same, but that `add` is called in each meta-step before the outer optimiser; None where it cannot be."""
        return None


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

    def adding(self, add: Add) -> EagerSteps:
        def gradients(meta: MetaParams, episodes: Episode, progress: Tensor) -> StepResult:
            own = self._gradients(meta, episodes, progress)
            means = [leaf.mean(-1, keepdim=True) for leaf in trees.leaves((own.losses, own.logs))]
            gradient, *found = add(torch.cat([trees.ravel(own.gradient), *means], 1)).split(
                [self.optimizer.theta.shape[1], *[1] * len(means)], 1
            )
            losses, logs = trees.replace_leaves((own.losses, own.logs), found)
            return StepResult(trees.unravel(gradient, trees.stop_gradient(meta)), losses, logs)

        return EagerSteps(self.optimizer, gradients, self.threads)


def joined(parts: list[Measured]) -> Measured:
    """The meta-steps of several calls as one."""
    return trees.tree_map(lambda *leaves: torch.cat(leaves), *parts)
