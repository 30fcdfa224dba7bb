"""Data are a pure function of (seed, split, position)."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mamlzoo
from mamlzoo import option, trees
from mamlzoo.contracts.data import Batch, Episode, Spec
from mamlzoo.engine.episodes import TestSet, TrainingStream, derive_seed
from mamlzoo.errors import PluginError
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.scalar import Scalar
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")
TASKS = [Sine(), Sine(pool=20, noise=0.1), Blobs(), Scalar()]


def stream(task=TASKS[0], seeds=(0,), meta_batch=3):
    return TrainingStream(task, seeds, meta_batch, CPU)


def equal(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(trees.leaves(a), trees.leaves(b), strict=True))


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_the_same_seed_gives_the_same_data(task):
    for one, two in zip(stream(task).steps(0, 5), stream(task).steps(0, 5), strict=True):
        assert equal(one, two)


@given(first=st.integers(0, 600), length=st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_starting_in_the_middle_gives_what_starting_at_the_beginning_gave(first, length):
    whole = list(stream().steps(0, first + length))[first:]
    part = list(stream().steps(first, first + length))
    assert len(whole) == len(part) == length
    assert all(equal(one, two) for one, two in zip(whole, part, strict=True))


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_a_seeds_data_do_not_depend_on_the_seeds_beside_it(task):
    alone = next(stream(task, seeds=(7,)).steps(0, 1))
    beside = next(stream(task, seeds=(3, 7)).steps(0, 1))
    assert equal(trees.index(alone, 0), trees.index(beside, 1))


@pytest.mark.parametrize("task", TASKS[:3], ids=repr)
def test_other_seeds_steps_and_splits_give_other_data(task):
    first, second = stream(task).steps(0, 2)
    (other_seed,) = stream(task, seeds=(1,)).steps(0, 1)
    assert not torch.equal(first.support.x, second.support.x)
    assert not torch.equal(first.support.x, other_seed.support.x)
    draws = {
        split: next(TestSet(task, 3, 0, CPU, split=split).blocks()).support.x for split in ("train", "valid", "test")
    }
    assert not torch.equal(draws["train"], draws["test"])
    assert not torch.equal(draws["valid"], draws["test"])


def test_leaves_begin_with_seeds_and_meta_batch():
    (episodes,) = stream(Blobs(ways=3, shots=2, queries=4), seeds=(0, 1), meta_batch=5).steps(0, 1)
    assert episodes.support.x.shape == (2, 5, 6, 8)
    assert episodes.query.y.shape == (2, 5, 12)


@pytest.mark.parametrize("count", [1, 100, 300])
def test_a_smaller_test_set_is_the_beginning_of_a_larger_one(count):
    def joined(count):
        return torch.cat([block.support.x for block in TestSet(Sine(), count, 0, CPU).blocks()])

    assert joined(count).shape[0] == count
    assert torch.equal(joined(count), joined(700)[:count])


def test_a_task_of_two_episodes_is_never_tested_on_more():
    tests = TestSet(Scalar(), 1000, 0, CPU)
    assert tests.size == 2
    assert [len(block.support.x) for block in tests.blocks()] == [2]


class Counted(Sine):
    """So many valid and test episodes and no more, each with its number as every input."""

    name = "counted"
    spec = Spec(input_shape=(1,), output_size=1, valid_episodes=300, test_episodes=700)

    def sample(self, count, *, split, generator):
        x = torch.arange(count)[:, None, None].expand(-1, 4, -1).float()
        return Episode(Batch(x, x), Batch(x, x))


@pytest.mark.parametrize(("split", "available"), [("valid", 300), ("test", 700)])
def test_of_a_finite_set_no_episode_is_counted_twice(split, available):
    tests = TestSet(Counted(), 1000, 0, CPU, split=split)
    numbers = torch.cat([block.query.x[:, 0, 0] for block in tests.blocks()])
    assert sorted(numbers.tolist()) == list(range(available))
    assert tests.episode(299).query.x[0, 0, 0] == 299


def test_large_episodes_are_drawn_in_short_blocks():
    assert stream(Sine(), meta_batch=1).block_length == 256
    assert stream(Sine(shots=10_000), meta_batch=25).block_length == 2


def test_seeds_are_derived_without_collisions():
    seeds = [*range(10), *(2**32 + seed for seed in range(10))]
    splits = ("train", "valid", "test")
    derived = {derive_seed(seed, split, i) for seed in seeds for split in splits for i in range(100)}
    assert len(derived) == 20 * 3 * 100


class Wrong(Sine):
    """Returns one episode less than it was asked for."""

    name = "wrong"

    def sample(self, count, *, split, generator):
        return trees.index(super().sample(count, split=split, generator=generator), slice(1, None))


class Raises(Sine):
    """Raises."""

    name = "raises"

    def sample(self, count, *, split, generator):
        raise KeyError("x")


def test_a_task_that_returns_too_few_episodes_is_named():
    with pytest.raises(PluginError) as caught:
        stream(Wrong()).block(0)
    expected = "returned support.x of shape [0, 10, 1]; it must be [1, examples, 1]"
    assert str(caught.value) == f"task 'wrong' was asked for 1 episode and {expected}"


def test_a_task_that_raises_is_named():
    with pytest.raises(PluginError, match="task 'raises' failed to sample: KeyError: 'x'"):
        stream(Raises()).block(0)


def test_episodes_are_plain_named_tuples():
    episode = next(TestSet(Sine(), 1, 0, CPU).blocks())
    assert isinstance(episode, Episode)
    assert isinstance(episode.support, Batch)


class Flat(Sine):
    """Targets without their last axis: beside predictions [n, 1] they would broadcast to [n, n]."""

    name = "flat"

    def sample(self, count, *, split, generator):
        support, query = super().sample(count, split=split, generator=generator)
        return Episode(Batch(support.x, support.y[..., 0]), query)


class Loose(Sine):
    """Two pairs that are no Episode."""

    name = "loose"

    def sample(self, count, *, split, generator):
        return tuple(super().sample(count, split=split, generator=generator))


def test_targets_that_would_broadcast_are_refused():
    with pytest.raises(PluginError, match=r"returned support.y of shape \[1, 10\] beside x of shape \[1, 10, 1\]"):
        stream(Flat()).block(0)


def test_something_else_than_an_episode_is_refused():
    with pytest.raises(PluginError, match="task 'loose' must sample an Episode of two Batches, not a tuple"):
        stream(Loose()).block(0)


class Ragged(Sine):
    """In some of its draws one leaf has a row more, or another dtype."""

    name = "ragged"
    odd: str = option("train", "the split of these draws")
    leaf: str = option("support.y", "the leaf that another dtype is given, or support.x for another length")

    def sample(self, count, *, split, generator):
        episode = super().sample(count, split=split, generator=generator)
        if split != self.odd or not torch.randint(2, (), generator=generator):
            return episode
        if self.leaf == "support.x":
            longer = (torch.cat([leaf, leaf[:, :1]], 1) for leaf in episode.support)
            return replace(episode, support=Batch(*longer))
        part, name = self.leaf.split(".")
        batch = getattr(episode, part)
        return replace(episode, **{part: replace(batch, **{name: getattr(batch, name).double()})})


def drawn(task, split):
    """All of a few blocks of a split."""
    if split == "train":
        whole = stream(task, seeds=(0, 1))
        return [whole.block(position) for position in range(4)]
    return list(TestSet(task, 1000, 0, CPU, split=split).blocks())


LENGTHS = r"task 'ragged' drew support.x of shape \[1[01], 1\] for an episode of '{}', after one of shape \[1[01], 1\];"
TYPES = r"task 'ragged' drew {} of torch.float\d\d for an episode of 'train', after one of torch.float\d\d; all"


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_every_draw_of_a_split_has_the_size_of_the_first(split):
    with pytest.raises(PluginError, match=LENGTHS.format(split)):
        drawn(Ragged(odd=split, leaf="support.x"), split)


@pytest.mark.parametrize("leaf", ["support.y", "query.x", "query.y"])
def test_every_draw_of_a_split_has_the_dtype_of_the_first(leaf):
    with pytest.raises(PluginError, match=TYPES.format(leaf)):
        drawn(Ragged(leaf=leaf), "train")


@pytest.mark.parametrize("position", range(4))
def test_a_run_that_goes_on_holds_its_blocks_to_the_same_size(position):
    """The size is that of one draw, whatever block is the first of this process."""

    def outcome(whole):
        try:
            return whole.block(position).support.x.shape
        except PluginError as error:
            return str(error)

    begun = stream(Ragged(leaf="support.x"))
    for earlier in range(position):
        with contextlib.suppress(PluginError):
            begun.block(earlier)
    assert outcome(begun) == outcome(stream(Ragged(leaf="support.x")))


def test_the_splits_may_differ_in_size():
    assert next(stream(Sine(), meta_batch=1).steps(0, 1)).query.x.shape[2:] == (10, 1)
    assert next(TestSet(Sine(), 1, 0, CPU).blocks()).query.x.shape[1:] == (50, 1)


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_size_that_changes_is_found_before_anything_is_trained(split):
    told = []
    settings = {"iterations": 2, "test_tasks": 2, "validate_every": 1, "progress": lambda *event: told.append(event)}
    with pytest.raises(PluginError, match=LENGTHS.format(split)):
        mamlzoo.run(Ragged(odd=split, leaf="support.x"), **settings)
    assert told == []
