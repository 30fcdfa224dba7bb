"""Episodes over arrays: the laws of what is drawn, whatever the arrays are and wherever they lie."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mamlzoo
from mamlzoo import ClassEpisodes, GroupEpisodes, Input, Range, UsageError
from mamlzoo.arrays.distinct import distinct
from mamlzoo.arrays.rows_by_class import shared
from mamlzoo.engine.episodes import TestSet

CPU = torch.device("cpu")
PER_CLASS = st.lists(st.integers(5, 12), min_size=6, max_size=9)
"""How many examples each class has."""


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(per_class, seed=0):
    """Examples that are their own row numbers, in random order of classes, and the class of each."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(per_class)), per_class))
    return np.arange(len(labels), dtype=np.float32)[:, None], labels


def draw(episodes, count=20, seed=0, **given):
    how = {"ways": 2, "shots": 2, "queries": 3} | given
    return episodes.draw(count, generator=generator(seed), **how)


def there_of(batch):
    """Which examples of each episode are no padding."""
    return torch.ones(batch.y.shape[:2], dtype=torch.bool) if batch.mask is None else batch.mask


def rows_of(batch):
    """Of each episode the rows of its set that are there."""
    return [x[there, 0].long().tolist() for x, there in zip(batch.x, there_of(batch), strict=True)]


def same(one, two):
    return all(map(torch.equal, mamlzoo.leaves(one), mamlzoo.leaves(two)))


@settings(max_examples=25, deadline=None)
@given(PER_CLASS, st.integers(0, 99), st.sampled_from([2, Range(1, 2)]), st.sampled_from(["refuse", "use"]))
def test_an_episode_has_different_examples_of_as_many_classes_as_it_has_ways(per_class, seed, shots, short):
    x, labels = numbered(per_class, seed)
    episodes = draw(ClassEpisodes(x, labels), seed=seed, ways=3, shots=shots, short=short)
    for support, query in zip(*map(rows_of, episodes), strict=True):
        assert len({*support, *query}) == len(support) + len(query)
    for batch in episodes:
        for rows, y, there in zip(rows_of(batch), batch.y, there_of(batch), strict=True):
            pairs = {(int(number), int(labels[row])) for number, row in zip(y[there], rows, strict=True)}
            assert len(pairs) == len({number for number, _ in pairs}) == len({label for _, label in pairs}) == 3


@settings(max_examples=25, deadline=None)
@given(PER_CLASS, st.integers(0, 99))
def test_no_class_is_in_two_splits_and_none_is_in_none(per_class, seed):
    x, labels = numbered(per_class, seed)
    parts = ClassEpisodes(x, labels).split(valid=0.3, test=0.3, seed=seed, least=2)
    names = [set(part.names) for part in parts.values()]
    assert set.union(*names) == set(range(len(per_class)))
    assert all(not one & two for one, two in combinations(names, 2))
    for part, known in zip(parts.values(), names, strict=True):
        drawn = draw(part, 50)
        assert {int(labels[row]) for batch in drawn for rows in rows_of(batch) for row in rows} <= known


def test_every_class_and_every_order_of_classes_is_as_likely_as_any_other():
    # 20 ordered pairs of 5 classes: each count is binomial, n = 20,000 and p = 1/20.
    x, labels = numbered([6, 9, 30, 7, 12])
    drawn = draw(ClassEpisodes(x, labels), 20_000)
    classes = torch.tensor(labels)[drawn.support.x[:, ::2, 0].long()]
    _, counts = classes.unique(dim=0, return_counts=True)
    assert len(counts) == 20
    assert (counts - 1000).abs().max() < 5 * math.sqrt(20_000 / 20 * 19 / 20)


@settings(max_examples=25, deadline=None)
@given(PER_CLASS, st.integers(0, 99))
def test_the_order_of_the_examples_changes_which_rows_and_nothing_else(per_class, seed):
    x, labels = numbered(per_class)
    order = np.random.default_rng(seed).permutation(len(x))
    one, two = (draw(ClassEpisodes(x, these).split(least=2, seed=seed)["train"]) for these in (labels, labels[order]))
    for batch, other in zip(one, two, strict=True):
        here, there = (torch.tensor(these)[rows.x[..., 0].long()] for these, rows in
                       ((labels, batch), (labels[order], other)))  # fmt: skip
        assert torch.equal(here, there)
        assert torch.equal(batch.y, other.y)


def test_a_generators_state_gives_the_same_episodes_and_another_others():
    episodes = ClassEpisodes(*numbered([9] * 6))
    assert same(draw(episodes, seed=3), draw(episodes, seed=3))
    assert not same(draw(episodes, seed=3), draw(episodes, seed=4))


def test_a_range_of_shots_leaves_the_queries_of_the_longest_and_pads_with_zeros():
    episodes = ClassEpisodes(*numbered([30] * 6))
    some = draw(episodes, 200, shots=Range(1, 5))
    assert some.query.mask is None
    counts = some.support.mask.unflatten(1, (2, 5)).sum(-1)
    assert sorted(counts.unique().tolist()) == [1, 2, 3, 4, 5]
    assert (counts[:, 0] != counts[:, 1]).any()
    assert (some.support.x[~some.support.mask] == 0).all()


ARRAYS = {
    "a memory map": lambda x, path: np.lib.format.open_memmap(path, "w+", x.dtype, x.shape),
    "numbers in another order of bytes": lambda x, _: x.astype(x.dtype.newbyteorder()),
    "numbers that run backwards": lambda x, _: x[::-1].copy()[::-1],
    "a tensor": lambda x, _: torch.from_numpy(x),
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_same_numbers_are_the_same_episodes_wherever_they_lie(tmp_path, kind, dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3, 4)).astype(dtype)
    labels = np.arange(60) % 6
    held = ARRAYS[kind](pixels, tmp_path / "x.npy")
    if kind == "a memory map":
        held[:] = pixels
        held.flush()
        held = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert same(draw(ClassEpisodes(pixels, labels)), draw(ClassEpisodes(held, torch.from_numpy(labels))))
    assert ClassEpisodes(held, labels).inputs == Input((3, 4))


def test_bytes_are_scaled_to_between_0_and_1_as_they_are_drawn():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 4), np.uint8)
    labels = np.arange(60) % 6
    drawn = draw(ClassEpisodes(pixels, labels))
    assert same(drawn, draw(ClassEpisodes((pixels / 255).astype(np.float32), labels)))
    assert same(drawn, draw(ClassEpisodes(pixels.astype(np.float64), labels, scale=255)))
    assert drawn.support.x.dtype == torch.float32
    assert draw(ClassEpisodes(pixels, labels, scale=1)).support.x.max() > 200


class Counted(np.ndarray):
    """An array that knows of how many rows it was asked for at most, in which order."""

    asked: list = []

    def __getitem__(self, at):
        assert isinstance(at, np.ndarray)
        assert (np.diff(at) > 0).all()
        Counted.asked.append(len(at))
        return np.asarray(self)[at]


def test_only_the_rows_that_are_drawn_are_read_each_once_and_in_order():
    x = np.zeros((100_000, 2), np.float32).view(Counted)
    Counted.asked.clear()
    draw(ClassEpisodes(x, np.arange(100_000) % 10), 3)
    assert max(Counted.asked) <= 3 * 2 * 3
    assert len(Counted.asked) == 2


def test_inputs_may_be_several_arrays_and_whole_numbers():
    tokens, length, labels = np.arange(60).reshape(30, 2), np.arange(30, dtype=np.float32), np.arange(30) % 3
    inputs = {"tokens": Input((2,), vocabulary=60), "length": Input(())}
    drawn = draw(ClassEpisodes({"tokens": tokens, "length": length}, labels, inputs=inputs))
    assert drawn.support.x["tokens"].dtype == torch.int64
    assert torch.equal(drawn.support.x["tokens"][..., 0].float(), 2 * drawn.support.x["length"])
    pair = draw(ClassEpisodes((tokens.astype(np.float32), length), labels))
    assert torch.equal(pair.query.x[0][..., 0], 2 * pair.query.x[1])


def test_classes_of_an_episode_are_of_one_group_where_there_are_groups():
    x, labels = numbered([8] * 9)
    alphabets = np.array(list("aaabbbccc"))[labels]
    drawn = draw(ClassEpisodes(x, labels, groups=alphabets), 50, ways=3)
    for rows in rows_of(drawn.support):
        assert len({alphabets[row] for row in rows}) == 1
        assert len({labels[row] for row in rows}) == 3
    parts = ClassEpisodes(x, labels, groups=alphabets).split()
    assert sorted(part.names[0] for part in parts.values()) == ["a", "b", "c"]


def test_every_choice_and_order_of_rows_is_as_likely_as_any_other():
    # 60 ordered choices of 3 of 5: each count is binomial, n = 60,000 and p = 1/60.
    drawn = distinct(torch.full((60_000,), 5), 3, generator())
    _, counts = drawn.unique(dim=0, return_counts=True)
    assert len(counts) == 60
    assert (counts - 1000).abs().max() < 5 * math.sqrt(60_000 / 60 * 59 / 60)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 6), st.integers(0, 99))
def test_of_fewer_numbers_than_are_wanted_each_comes_once_and_the_others_draws_stay(below, count, seed):
    drawn = distinct(torch.tensor(below), count, generator(seed))
    long = distinct(torch.tensor([max(n, count) for n in below]), count, generator(seed))
    for n, row, other in zip(below, drawn.tolist(), long.tolist(), strict=True):
        assert len(set(row[:n])) == min(n, count)
        assert all(0 <= number < n for number in row)
        assert n < count or row == other


@given(st.integers(2, 50), st.integers(1, 20), st.integers(1, 20))
def test_few_rows_are_shared_in_proportion_one_at_least_to_each_set(held, shots, queries):
    support, query = (int(part) for part in shared(torch.tensor(held), torch.tensor(shots), queries))
    assert 1 <= support <= shots
    assert 1 <= query <= queries
    assert support + query == min(held, shots + queries)
    if held < shots + queries and support > 1:
        assert abs(support - held * shots / (shots + queries)) < 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(2, 12), min_size=4, max_size=8), st.integers(0, 99), st.sampled_from([3, Range(1, 4)]))
def test_short_classes_are_used_by_what_they_have_and_never_twice_over(per_class, seed, shots):
    x, labels = numbered(per_class, seed)
    drawn = draw(ClassEpisodes(x + 1, labels), seed=seed, shots=shots, queries=4, short="use")
    for support, query in zip(*map(rows_of, drawn), strict=True):
        assert len({*support, *query}) == len(support) + len(query)
    for batch in drawn:
        by_class = batch.mask.unflatten(1, (2, -1)).sum(-1)
        assert (by_class >= 1).all()
        assert (batch.x[~batch.mask] == 0).all()
        assert (batch.x[batch.mask] >= 1).all()
    if isinstance(shots, int):  # none of what is there is left out
        chosen = torch.tensor(labels)[drawn.support.x[:, ::3, 0].long() - 1]
        both = sum(batch.mask.unflatten(1, (2, -1)).sum(-1) for batch in drawn)
        assert torch.equal(both, torch.tensor(per_class)[chosen].clamp(max=7))


def test_where_nothing_is_short_the_option_adds_masks_and_changes_no_bit():
    episodes = ClassEpisodes(*numbered([8] * 6))
    refused, used = draw(episodes), draw(episodes, short="use")
    for one, two in zip(refused, used, strict=True):
        assert torch.equal(one.x, two.x)
        assert torch.equal(one.y, two.y)
        assert two.mask.all()


def test_rows_of_a_group_are_drawn_without_replacement_and_targets_follow_them():
    x, groups = numbered([12, 7, 20, 9])
    for y in (-x, -x[:, 0], np.hstack([-x, x])):
        drawn = GroupEpisodes(x, y, groups).draw(40, shots=3, queries=4, generator=generator())
        for support, query in zip(*map(rows_of, drawn), strict=True):
            assert len({*support, *query}) == 7
            assert len({groups[row] for row in [*support, *query]}) == 1
        assert torch.equal(drawn.query.y[..., :1], -drawn.query.x)


def test_groups_in_turn_are_each_an_episode():
    x, groups = numbered([9] * 5)
    drawn = GroupEpisodes(x, x, groups).draw(5, shots=2, queries=2, generator=generator(), in_turn=True)
    assert [groups[rows[0]] for rows in rows_of(drawn.query)] == list(range(5))


def test_a_test_sets_beginning_is_that_of_a_larger_one():
    x, labels = numbered([30] * 10)
    for task in (mamlzoo.task_of_classes(x, labels, ways=2), mamlzoo.task_of_groups(x, x, labels, test=0.5)):
        few, more = (torch.cat([block.query.x for block in TestSet(task, n, 0, CPU).blocks()]) for n in (3, 60))
        assert torch.equal(few, more[:3])
        assert len(few) == 3


X, LABELS = numbered([9, 9, 2, 9])
WRONG = {
    "too few labels": (lambda: ClassEpisodes(X, LABELS[1:]), "labels must be one for each of 29 examples, not of shape [28]"),
    "labels of one column": (lambda: ClassEpisodes(X, LABELS[:, None]), "labels must be one for each of 29 examples, not of shape [29, 1]"),
    "whole numbers": (lambda: ClassEpisodes(X.astype(int), LABELS),
                      "examples are of int64: say by inputs what they are, mamlzoo.Input((1,)) for numbers, mamlzoo.Input((1,), "
                      "'integer') or 'bool' for what they are"),
    "another shape": (lambda: ClassEpisodes(X, LABELS, inputs=Input((2,))), "examples of shape [29, 1] must be [n, 2], n of them"),
    "another structure": (lambda: ClassEpisodes(X, LABELS, inputs={"a": Input((2,))}),
                          "examples must be a [n, 2], as inputs says, not ndarray"),
    "unequal parts": (lambda: ClassEpisodes((X, X[1:]), LABELS), "examples.0 of 29 and examples.1 of 28 must be equally many"),
    "a small class": (lambda: draw(ClassEpisodes(X, LABELS)),
                      "1 of 4 classes has fewer than shots + queries = 5 examples: class 2 (2); lower shots or queries, leave "
                      "them out, or set short to 'use', which takes what they have"),
    "few classes": (lambda: draw(ClassEpisodes(X, LABELS).only([0, 1]), ways=3),
                    "an episode has ways = 3 classes, and there are 2; lower ways"),
    "a small class of a group": (lambda: draw(ClassEpisodes(X, LABELS, groups=LABELS // 2)),
                                 "1 of 4 classes has fewer than shots + queries = 5 examples: class 2 of group 1 (2); lower shots or "
                                 "queries, leave them out, or set short to 'use', which takes what they have"),
    "few classes of a group": (lambda: draw(ClassEpisodes(X, LABELS, groups=LABELS // 3), shots=1, queries=1),
                               "an episode has ways = 2 classes, and there is 1 of group 1; lower ways"),
    "nothing": (lambda: ClassEpisodes([], []), "there are no examples"),
    "a scale of nothing": (lambda: ClassEpisodes(X, LABELS, scale=0), "scale must be above 0, not 0: examples are divided by it"),
    "no such class": (lambda: ClassEpisodes(X, LABELS).only([0, 7]), "no example is of class 7; there are: 0, 1, 2, 3"),
    "no class to train on": (lambda: mamlzoo.task_of_classes(X, LABELS, split={"train": [], "valid": [0], "test": [1]}),
                             "task 'arrays': there is no class to draw episodes of"),
    "few to split": (lambda: ClassEpisodes(X, LABELS).split(least=2),
                     "4 classes do not make three splits of 2 at least, to train, to validate and to test; have 6 or more"),
    "too much to test": (lambda: ClassEpisodes(X, LABELS).split(valid=0.25, test=0.75),
                         "of 4 classes, 1 to validate (valid 0.25) and 3 to test (test 0.75) leave 0 to train, and it takes 1 at "
                         "least; lower valid or test"),
    "not finite": (lambda: draw(ClassEpisodes(np.where(X == 4, np.nan, X), LABELS).only([int(LABELS[4]), int(LABELS[0])]), 99, shots=4, queries=5),
                   "examples number 4, counted from 0, holds a number that is not finite"),
    "targets of fewer rows": (lambda: GroupEpisodes(X, X[1:], LABELS), "y of 28 targets beside x of 29 examples; they must be equally many"),
    "classes that are no numbers": (lambda: GroupEpisodes(X, X, LABELS, kind="classification"),
                                    "y of shape [29, 1], float32, must be class numbers from 0, [m] of whole numbers"),
    "a short group": (lambda: mamlzoo.task_of_groups(X, X, LABELS, split={"train": [0, 2], "valid": [1], "test": [3]}, shots=1, queries=2),
                      "task 'arrays': in train 1 of 2 groups has fewer than shots + queries = 3 examples: group 2 (2); lower shots "
                      "or queries, leave them out, or set short to 'use', which takes what they have"),
    "a class in two splits": (lambda: mamlzoo.task_of_classes(X, LABELS, split={"train": [0, 1], "valid": [2, 3], "test": [1, 2]}),
                              "split: class 1 is in train and test; a test must not see what was trained on"),
    "no valid": (lambda: mamlzoo.task_of_classes(X, LABELS, split={"train": [0], "test": [1]}),
                 "split must give the class names of train, valid and test, not of train, test"),
    "an unknown option": (lambda: mamlzoo.task_of_classes(X, LABELS, way=2), "task 'arrays' has no option 'way'; did you mean 'ways'?"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "line"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_one_line(call, line):
    with pytest.raises(UsageError) as caught:
        call()
    assert str(caught.value) == line
