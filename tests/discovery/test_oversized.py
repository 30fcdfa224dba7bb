"""What asks for more than there is, is an option; the plugin that met it is not blamed."""

from __future__ import annotations

from pathlib import Path

import pytest

import mamlzoo
from mamlzoo import PluginError, UsageError
from mamlzoo_tasks.sine import Sine

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


def failing(error):
    """A task that raises when it is asked for episodes."""

    class Failing(Sine):
        def sample(self, *args, **kwargs):
            raise error

    return Failing()


INNOCENT = {"iterations": 60_000, "validate_every": 200, "threads": 64, "test_seed": 10**9, "seeds": [10**9]}


@pytest.mark.parametrize(
    "error",
    [OverflowError("math range error"), MemoryError("no room"), RuntimeError("CUDA out of memory")],
    ids=lambda error: type(error).__name__,
)
def test_what_no_option_made_too_large_is_told_as_the_fault_it_is(error):
    with pytest.raises(PluginError) as caught:
        mamlzoo.run(failing(error), plan="loop", **INNOCENT)
    assert str(error) in str(caught.value)
    assert f"{Path(__file__).name}:" in str(caught.value.origin)
    assert "lower it" not in str(caught.value)


def test_an_overflow_that_is_of_no_size_blames_no_option_however_large():
    with pytest.raises(PluginError, match="math range error"):
        mamlzoo.run(failing(OverflowError("math range error")), test_tasks=20_000, iterations=1)


@pytest.mark.parametrize(
    "said", ["cannot fit 'int' into an index-sized integer", "Python int too large to convert to C"]
)
def test_an_overflow_that_is_of_a_size_blames_what_asked_for_it(said):
    with pytest.raises(UsageError, match="with --test-tasks 20000; lower it"):
        mamlzoo.run(failing(OverflowError(said)), test_tasks=20_000, iterations=1)


def test_a_chunk_far_above_one_is_blamed():
    with pytest.raises(UsageError, match="with --chunk 1000; lower it"):
        mamlzoo.run(failing(MemoryError("no room")), chunk=1000, iterations=1)


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
