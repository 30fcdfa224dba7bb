"""What each of several workers has of a run, and all of it again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamlzoo import trees
from mamlzoo.engine.division import Division, share
from mamlzoo.engine.episodes import TestSet, TrainingStream
from mamlzoo.engine.outer_optimizer import ELEMENTWISE, OuterOptimizer
from mamlzoo.engine.training import TrainingState
from mamlzoo.engine.workers import Workers
from mamlzoo.errors import UsageError
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")


class Lockstep(Workers):
    """Workers that are threads of one process."""

    def __init__(self, rank, count, told, barrier):
        self.rank, self.count, self._told, self._barrier = rank, count, told, barrier

    def gathered(self, value):
        self._told[self.rank] = value
        self._barrier.wait()
        found = list(self._told)
        self._barrier.wait()
        return found

    def told(self, value):
        return self.gathered(value)[0]


def by_all(count, work):
    """What `work` gives in each of so many workers."""
    told, barrier = [None] * count, threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda rank: work(Lockstep(rank, count, told, barrier)), range(count)))


@given(total=st.integers(1, 50), count=st.integers(1, 50))
def test_shares_are_all_there_is_once_and_differ_by_one_at_most(total, count):
    parts = [share(total, rank, count) for rank in range(count)]
    assert [at for part in parts for at in range(total)[part]] == list(range(total))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("optimizer", ["adam", "adafactor", "sgd"])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_where_training_stands_is_taken_apart_and_joined_again(optimizer, count):
    generator = torch.Generator().manual_seed(0)
    meta = {"net": {"w": torch.randn(5, 4, 3, generator=generator), "b": torch.randn(5, 3, generator=generator)}}
    outer = OuterOptimizer(optimizer, 0.1, meta, ema=0.9)
    outer.step(trees.tree_map(torch.ones_like, meta))
    state = TrainingState(1, outer.meta, outer.saved(), average=outer.average)

    def work(workers):
        division = Division.among(workers, 5, 1, elementwise=optimizer in ELEMENTWISE)
        own = division.own(state)
        assert len(own.meta["net"]["w"]) == len(range(5)[division.own_seeds])
        return division.whole(own)

    for whole in by_all(count, work):
        assert trees.equal(trees.stop_gradient(whole.meta), trees.stop_gradient(state.meta))
        assert trees.equal(whole.average, state.average)
        restored = OuterOptimizer(optimizer, 0.1, meta, ema=0.9)
        restored.restore(whole.meta, whole.optimizer, whole.average)
        assert trees.equal(restored.state(), outer.state())


def test_what_is_told_of_a_view_is_the_view_alone():
    sizes = []

    class Weighed(Lockstep):
        def gathered(self, value):
            sizes.extend(leaf.untyped_storage().nbytes() for leaf in trees.leaves(value))
            return [value] * self.count

    division = Division.among(Weighed(0, 2, [], None), 2, 1, elementwise=True)
    division.all_seeds({"a": torch.zeros(1, 1000)[:, :3]})
    assert sizes == [12]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_workers_tasks_are_the_meta_batch(count):
    whole = TrainingStream(Sine(), (0, 1), 7, CPU).block(1)
    parts = [TrainingStream(Sine(), (0, 1), 7, CPU, tasks=share(7, rank, count)).block(1) for rank in range(count)]
    assert trees.equal(trees.tree_map(lambda *leaves: torch.cat(leaves, 2), *parts), whole)


@pytest.mark.parametrize(("first", "last"), [(0, 300), (10, 20), (250, 260), (256, 300), (299, 300)])
def test_some_test_episodes_are_those_of_all(first, last):
    tests = TestSet(Sine(), 300, 0, CPU)
    assert tests.block_length == 256
    joined = trees.tree_map(lambda *leaves: torch.cat(leaves), *tests.blocks())
    some = trees.tree_map(lambda *leaves: torch.cat(leaves), *tests.blocks(slice(first, last)))
    assert trees.equal(some, trees.index(joined, slice(first, last)))


def test_each_worker_needs_a_seed_or_a_task():
    workers = Lockstep(0, 4, [], None)
    assert Division.among(workers, 4, 1, elementwise=True).of == "seeds"
    assert Division.among(workers, 3, 4, elementwise=True).of == "tasks"
    with pytest.raises(UsageError, match="4 workers have too little to do: each needs a seed, of which there are 3"):
        Division.among(workers, 3, 3, elementwise=True)
