"""The episodes of an experiment as pure functions of (seed, split, position): no random state is ever carried along.

Episodes are drawn in blocks, each from a generator of its own whose seed is derived from (seed, split, block). How many
meta-steps make a block depends on the task and the meta-batch alone, so it is part of the definition of the data: the
same for every plan, and for every set of seeds that run together.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, Split
from mamlzoo.contracts.drawn_episodes import check_episodes, check_size
from mamlzoo.contracts.noise import keys
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.return_values import broken
from mamlzoo.engine.torch_errors import explained
from mamlzoo.errors import FOREIGN, MamlzooError

STREAM_IDS = {"train": 0, "valid": 1, "test": 2}
NOISE = 1
"""Sets the stream of an episode's own random numbers apart from that of its data."""
BLOCK_NUMBERS = 2**20
"""About how many numbers a block holds for one seed."""
LONGEST_BLOCK = 256
BLOCKS_TRIED = 8
"""Of so many blocks a rehearsal looks at the size, before anything is trained."""


def derive_seed(seed: int, stream: Split, position: int = 0) -> int:
    """A 64-bit seed for one position of one stream; different inputs give unrelated seeds."""
    # A spawn key, not more entropy: entropy (2³² + 5, 0, 0) would be the same words as (5, 1, 0).
    return _derived(seed, (STREAM_IDS[stream], position))


def _derived(seed: int, spawn_key: tuple[int, ...]) -> int:
    sequence = np.random.SeedSequence(seed, spawn_key=spawn_key)
    return int(sequence.generate_state(1, np.uint64)[0])


def _keys(count: int, seed: int, split: Split, position: int, device: torch.device) -> Tensor:
    """Of each episode the key of its random numbers, which have nothing to do with those that its data came from."""
    return keys(_derived(seed, (STREAM_IDS[split], position, NOISE)), count, device)


def draw(
    task: Task,
    count: int,
    seed: int,
    split: Split,
    position: int,
    device: torch.device,
    like: Episode | None = None,
) -> Episode:
    """Block number `position` of `count` episodes.

    Args:
        like: episodes of the same split, whose shapes and dtypes these must have; None: any.

    Raises:
        PluginError: the task raised, or did not return `count` episodes of finite numbers, of the size of `like`.
    """
    generator = torch.Generator(device).manual_seed(derive_seed(seed, split, position))
    try:
        episodes = task.sample(count, split=split, generator=generator)
    except MamlzooError:
        raise
    except FOREIGN as error:
        raise broken(task, f"failed to sample: {explained(error)}") from error
    episodes = replace(check_episodes(task, count, episodes), key=_keys(count, seed, split, position, device))
    return episodes if like is None else check_size(task, split, like, episodes)


def _try_sizes(task: Task, seeds: tuple[int, ...], split: Split, one: Episode) -> None:
    """Draw an episode of each of the first blocks: a size that changes is found here, and not hours later."""
    for position in range(BLOCKS_TRIED):
        draw(task, 1, seeds[position % len(seeds)], split, position, one.support.y.device, one)


def _one(task: Task, split: Split, device: torch.device) -> Episode:
    """The episode whose size all of a split have; the same whatever seeds are run, and wherever a run goes on."""
    return draw(task, 1, 0, split, 0, device)


def _block_length(one: Episode, episodes: int, longest: int) -> int:
    """How many groups of `episodes` episodes make a block."""
    numbers = episodes * sum(leaf.numel() for leaf in trees.leaves([one.support, one.query]))
    return max(1, min(longest, BLOCK_NUMBERS // max(1, numbers)))


@dataclass(frozen=True)
class TrainingStream:
    """The training episodes of several seeds: for each meta-step i a meta-batch, a pure function of (seed, i).

    A seed may be there several times, with the same episodes: once for each of several experiments side by side.

    Attributes:
        tasks: which of every meta-batch are given, None: all; the others are drawn all the same, and let go.
    """

    task: Task
    seeds: tuple[int, ...]
    meta_batch: int
    device: torch.device
    dtype: torch.dtype = torch.float32
    tasks: slice | None = None

    @functools.cached_property
    def block_length(self) -> int:
        """Meta-steps in a block."""
        return _block_length(self._one, self.meta_batch, LONGEST_BLOCK)

    @functools.cached_property
    def _one(self) -> Episode:
        return _one(self.task, "train", self.device)

    def try_sizes(self) -> None:
        """Look at the size of the first blocks.

        Raises:
            PluginError: the task raised, or draws episodes of several sizes.
        """
        _try_sizes(self.task, self.seeds, "train", self._one)

    def block(self, position: int) -> Episode:
        """Block number `position`; every leaf begins with [meta-steps, seeds, tasks given]."""
        count = self.block_length * self.meta_batch
        drawn = {
            seed: draw(self.task, count, seed, "train", position, self.device, self._one)
            for seed in dict.fromkeys(self.seeds)
        }
        shape, rows = (self.block_length, self.meta_batch), [drawn[seed] for seed in self.seeds]
        own = slice(None) if self.tasks is None else self.tasks

        def of_seeds(*leaves: Tensor) -> Tensor:
            return torch.stack([leaf.unflatten(0, shape)[:, own] for leaf in leaves], 1)

        stacked = trees.tree_map(of_seeds, *rows)
        return trees.cast(stacked, self.dtype, self.device)

    def steps(self, first: int, last: int) -> Iterator[Episode]:
        """The meta-batches of meta-steps first … last − 1; every leaf begins with [seeds, meta-batch]."""
        for position in range(first // self.block_length, math.ceil(last / self.block_length)):
            block, offset = self.block(position), position * self.block_length
            for step in range(max(first, offset), min(last, offset + self.block_length)):
                yield trees.index(block, step - offset)


@dataclass(frozen=True)
class TestSet:
    """The frozen test episodes of (task, test seed): the same for every model, algorithm and training seed.

    The first 100 of 1,000 are the 100 of a test set of 100.
    """

    task: Task
    count: int
    seed: int
    device: torch.device
    dtype: torch.dtype = torch.float32
    split: Split = "test"
    __test__ = False  # not a test for pytest

    @property
    def size(self) -> int:
        """How many episodes there are: `count`, or fewer if the task has not so many different ones."""
        return self.count if self._available is None else min(self.count, self._available)

    @functools.cached_property
    def block_length(self) -> int:
        """Episodes in a block. All of a finite set are one: a task that counts them begins anew with each block."""
        return self._available or _block_length(self._one, 1, LONGEST_BLOCK)

    @functools.cached_property
    def _one(self) -> Episode:
        return _one(self.task, self.split, self.device)

    def try_sizes(self) -> None:
        """Look at the size of the first blocks, where there are several.

        Raises:
            PluginError: the task raised, or draws episodes of several sizes.
        """
        if self._available is None:
            _try_sizes(self.task, (self.seed,), self.split, self._one)

    @property
    def _available(self) -> int | None:
        """How many different episodes there are, where that is a small number."""
        spec = self.task.spec
        return {"train": None, "valid": spec.valid_episodes, "test": spec.test_episodes}[self.split]

    @functools.cached_property
    def _first_block(self) -> Episode:
        """Of a finite set all there is, so that it is drawn once."""
        like = None if self._available else self._one
        return draw(self.task, self.block_length, self.seed, self.split, 0, self.device, like)

    def _block(self, position: int) -> Episode:
        if position == 0:
            return self._first_block
        return draw(self.task, self.block_length, self.seed, self.split, position, self.device, self._first_block)

    def episode(self, at: int) -> Episode:
        """Episode number `at` alone; every leaf begins with [1]."""
        row = at % self.block_length
        block = trees.index(self._block(at // self.block_length), slice(row, row + 1))
        return trees.cast(block, self.dtype, self.device)

    def blocks(self, own: slice = slice(None)) -> Iterator[Episode]:
        """All episodes, or those with these numbers, block by block; every leaf begins with [episodes]."""
        first, last, _ = own.indices(self.size)
        for position in range(first // self.block_length, math.ceil(last / self.block_length)):
            offset = position * self.block_length
            here = slice(max(first - offset, 0), last - offset)
            yield trees.cast(trees.index(self._block(position), here), self.dtype, self.device)
