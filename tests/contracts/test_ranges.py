"""A range of whole numbers as an option, and set sizes that are drawn from it."""

from __future__ import annotations

import json

import pytest
import torch

import mamlzoo
from mamlzoo import Range, UsageError
from mamlzoo.contracts import options
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine


@pytest.mark.parametrize("given", ["1..20", Range(1, 20)])
def test_a_range_is_written_or_made_and_goes_through_json(given):
    task = Sine(shots=given)
    assert task.shots == Range(1, 20)
    saved = json.loads(json.dumps(options.values(task)))
    assert saved["shots"] == "1..20"
    assert options.make(Sine, saved, "sine") == task


def test_a_range_of_one_number_is_that_number():
    assert Sine(shots="5..5") == Sine(shots=5)


WRONG = {
    "20..1": "a range begins with its smaller end, as 1..20, not 20..1",
    "0..5": "must be at least 1, not 0",
    "1..": "must be of type int, not '1..'",
    "1..x": "must be of type int, not '1..x'",
}


@pytest.mark.parametrize(("given", "complaint"), WRONG.items(), ids=WRONG)
def test_what_is_no_range_is_refused(given, complaint):
    with pytest.raises(UsageError, match=complaint.replace(".", r"\.")):
        Sine(shots=given)


def test_an_option_that_takes_no_range_refuses_one():
    with pytest.raises(UsageError, match=r"queries must be of type int, not '1\.\.5'"):
        Sine(queries="1..5")


def test_every_size_of_the_range_is_drawn_evenly_and_the_first_examples_are_there():
    length, mask = mamlzoo.sizes(Range(2, 5), (4000,), torch.Generator().manual_seed(0))
    assert length == 5
    counts = mask.sum(1)
    assert counts.bincount(minlength=6).tolist()[:2] == [0, 0]
    assert all(abs(int(drawn) - 1000) < 150 for drawn in counts.bincount()[2:])
    assert torch.equal(mask, torch.arange(5) < counts[:, None])


def test_a_fixed_size_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert mamlzoo.sizes(3, (10,), generator) == (3, None)
    assert torch.equal(before, generator.get_state())


@pytest.mark.parametrize("task", [Sine(shots="1..6"), Blobs(shots="1..6"), Sine(shots="1..6", pool=200)])
def test_built_in_tasks_draw_support_sets_of_their_range(task):
    for split in ("train", "valid", "test"):
        support = task.sample(50, split=split, generator=torch.Generator().manual_seed(0)).support
        sizes = support.mask.reshape(50, -1, 6).sum(-1)
        assert sizes.min() == 1
        assert sizes.max() == 6
