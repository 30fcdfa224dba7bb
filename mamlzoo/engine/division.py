"""What each of several workers does of a run: some of the seeds, or some of the tasks of every meta-batch and test set.

Seeds share nothing, so workers that have seeds of their own train without a word to each other; only what was measured
is told after every piece of work. Where there are fewer seeds than workers, all have all seeds and θ is the same
everywhere: the gradients of a meta-step are added up over the workers before the outer optimiser sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.training import TrainingState
from mamlzoo.engine.workers import Workers
from mamlzoo.errors import UsageError

T = TypeVar("T")
Slots = Mapping[int, Mapping[str, Any]]
"""The state of an optimiser by parameter."""


def share(total: int, rank: int, count: int) -> slice:
    """The part of `total` that one of `count` has; parts differ by one at most, and none lacks.

    >>> [share(10, rank, 3) for rank in range(3)]
    [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
    """
    return slice(rank * total // count, (rank + 1) * total // count)


def check_enough(workers: int, seeds: int, meta_batch: int) -> None:
    """Refuse more workers than a run can be divided among.

    Raises:
        UsageError: there is not a seed and not a task for each.
    """
    if max(seeds, meta_batch) < workers:
        raise UsageError(
            f"{workers} workers have too little to do: each needs a seed, of which there are {seeds}, or an episode of "
            f"every meta-step, of which there are {meta_batch}; choose fewer workers"
        )


@dataclass(frozen=True)
class Division:
    """How a run is divided among workers.

    Attributes:
        of: what each has its own of.
        seeds, meta_batch: of the run.
        elementwise: whether one outer optimiser serves all seeds.
    """

    workers: Workers
    of: Literal["seeds", "tasks"]
    seeds: int
    meta_batch: int
    elementwise: bool

    @classmethod
    def among(cls, workers: Workers, seeds: int, meta_batch: int, *, elementwise: bool) -> Division:
        """Seeds where each worker can have one, else tasks.

        Raises:
            UsageError: there is not a seed and not a task for each.
        """
        check_enough(workers.count, seeds, meta_batch)
        return cls(workers, "seeds" if seeds >= workers.count else "tasks", seeds, meta_batch, elementwise)

    @property
    def own_seeds(self) -> slice:
        """Rows of the seed axis."""
        return self._own(self.seeds) if self.of == "seeds" else slice(0, self.seeds)

    @property
    def own_tasks(self) -> slice:
        """Of every meta-batch."""
        return self._own(self.meta_batch) if self.of == "tasks" else slice(0, self.meta_batch)

    def own_tests(self, count: int) -> slice:
        """Of `count` test episodes: all, where there are fewer than workers."""
        return self._own(count) if self._divides_tests(count) else slice(0, count)

    def _divides_tests(self, count: int) -> bool:
        return self.of == "tasks" and count >= self.workers.count

    def _own(self, total: int) -> slice:
        return share(total, self.workers.rank, self.workers.count)

    def all_seeds(self, tree: T, dim: int = 0) -> T:
        """Trees with a seed axis of each worker's own seeds, as one of all."""
        return self._whole(tree, dim) if self.of == "seeds" else tree

    def all_tests(self, tree: T, count: int, dim: int) -> T:
        """Trees with an axis of each worker's own test episodes, as one of all; the same bits for each worker."""
        if self._divides_tests(count):
            return self._whole(tree, dim)
        # All have all of them, and yet one's word counts: a last bit may decide over the best θ, or over an end.
        return self.workers.told(tree) if self.of == "tasks" else tree

    def _whole(self, tree: T, dim: int) -> T:
        if self.workers.count == 1:
            return tree
        device = next((leaf.device for leaf in trees.leaves(tree)), torch.device("cpu"))
        # Copies: a view would be told with all that it is a view of.
        each = self.workers.gathered(trees.tree_map(lambda leaf: leaf.detach().cpu().clone(), tree))
        return trees.tree_map(lambda *leaves: torch.cat(leaves, dim).to(device), *each)

    def bound(self, bound: Bound) -> Bound:
        """Of all seeds this worker's own."""
        return bound.of_rows(self.own_seeds) if self.workers.count > 1 else bound

    def own(self, state: TrainingState) -> TrainingState:
        """Of where training stands this worker's own seeds, but for what was measured."""
        if self.of == "tasks" or self.workers.count == 1:
            return state
        rows = self.own_seeds
        optimizer: Sequence[Slots]
        if self.elementwise:
            optimizer = [_slots(lambda leaf: leaf[rows], slots) for slots in state.optimizer]
        else:
            optimizer = state.optimizer[rows]
        return replace(
            state,
            meta=trees.index(state.meta, rows),
            optimizer=optimizer,
            average=None if state.average is None else trees.index(state.average, rows),
        )

    def whole(self, state: TrainingState) -> TrainingState:
        """Where training of all seeds stands, of where it stands for each worker's own; all must ask at once."""
        if self.of == "tasks" or self.workers.count == 1:
            return state
        optimizers = self.workers.gathered(
            [_slots(lambda leaf: leaf.cpu().clone(), slots) for slots in state.optimizer]
        )
        if self.elementwise:
            optimizer = [_joined(each) for each in zip(*optimizers, strict=True)]
        else:
            optimizer = [slots for each in optimizers for slots in each]
        return replace(
            state,
            meta=self.all_seeds(state.meta),
            optimizer=optimizer,
            average=None if state.average is None else self.all_seeds(state.average),
        )


def _slots(change: Callable[[Tensor], Tensor], slots: Slots) -> dict[int, dict[str, Any]]:
    """The state of an optimiser, what has rows of seeds in it changed."""
    return {
        at: {key: change(value) if _has_rows(value) else value for key, value in own.items()}
        for at, own in slots.items()
    }


def _has_rows(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0


def _joined(each: Sequence[Slots]) -> dict[int, dict[str, Any]]:
    first = each[0]
    return {
        at: {
            key: torch.cat([slots[at][key] for slots in each]) if _has_rows(value) else value
            for key, value in own.items()
        }
        for at, own in first.items()
    }
