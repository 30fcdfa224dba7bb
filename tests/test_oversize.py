"""What asks for more than there is, is an option; the plugin that met it is not blamed."""

from __future__ import annotations

import pytest

import mamlzoo
from mamlzoo import UsageError

HUGE = 2**62


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"options": {"model.hidden": (HUGE,)}}, "--model.hidden"),
        ({"options": {"task.shots": HUGE}}, "--task.shots"),
        ({"options": {"task.test_points": HUGE}}, "--task.test-points"),
        ({"meta_batch": HUGE}, "--meta-batch"),
    ],
)
def test_the_option_that_asks_for_more_memory_than_there_is_is_named(given, flag):
    with pytest.raises(UsageError) as caught:
        mamlzoo.run(iterations=1, test_tasks=1, plan="loop", **given)
    assert str(caught.value) == f"sine × mlp × maml needs more memory than there is, with {flag} {HUGE}; lower it"


@pytest.mark.parametrize(
    ("seeds", "line"),
    [
        (300_000_000, "settings: seeds must be at most 10,000, not 300000000"),
        (10**20, "settings: seeds must be at most 10,000, not 100000000000000000000"),
        (10**5000, "settings: seeds must be at most 10,000, not a number of about 5,000 digits"),
        (range(10**12), "settings: seeds must be at most 10,000"),
        (1.5, "settings: seeds must be how many, or a list of which, not 1.5"),
        ("0,1", "settings: seeds must be how many, or a list of which, not '0,1'"),
        ([2**63], "settings: seeds must be at most 9.22337e+18, not 9223372036854775808"),
    ],
    ids=range(7),
)
def test_seeds_are_few_and_fit_a_generator(seeds, line):
    with pytest.raises(UsageError) as caught:
        mamlzoo.run(seeds=seeds)
    assert str(caught.value) == line
