"""What two workers make together is what one process makes alone."""

from __future__ import annotations

import os
import subprocess
import sys

import divided_runs
import pytest
import torch

from mamlzoo import trees


def by_two(folder, here, runs):
    """What each of two workers ended with, by run.

    Args:
        here: how many of them each takes to be on its own machine.
    """
    environment = os.environ | {
        "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0",
        "LOCAL_WORLD_SIZE": str(here),
    }
    command = [sys.executable, divided_runs.__file__, str(folder), runs]
    workers = [
        subprocess.Popen([*command, str(rank)], env=environment, stderr=subprocess.PIPE, text=True) for rank in (0, 1)
    ]
    for worker in workers:
        _, said = worker.communicate(timeout=180)
        assert worker.returncode == 0, said
    return [torch.load(folder / f"found-{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What each of two workers of one machine ended with, by run."""
    return by_two(tmp_path_factory.mktemp("workers"), 2, "")


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """Of some runs what each of two workers ended with that take themselves to be on different machines."""
    return by_two(tmp_path_factory.mktemp("workers"), 1, "by vmap")


def with_numbers_for_nan(tree):
    return trees.tree_map(torch.nan_to_num, tree)


@pytest.mark.parametrize("name", divided_runs.OF_SEEDS)
def test_workers_with_seeds_of_their_own_come_to_the_bits_of_one_process(together, name):
    alone = divided_runs.made("seeds", name)
    for found in together:
        assert trees.equal(with_numbers_for_nan(found[f"seeds {name}"]), with_numbers_for_nan(alone))


@pytest.mark.parametrize("name", divided_runs.OF_TASKS)
def test_workers_with_tasks_of_their_own_come_to_the_same_but_for_rounding(together, name):
    alone = divided_runs.made("tasks", name)
    first, second = (found[f"tasks {name}"] for found in together)
    assert trees.equal(first, second)
    for (path, mine), theirs in zip(trees.named_leaves(alone), trees.leaves(first), strict=True):
        torch.testing.assert_close(theirs, mine, rtol=2e-4, atol=2e-6, msg=path)


def test_workers_on_different_machines_come_to_the_bits_of_those_on_one(together, apart):
    assert set(apart[0]) == {"seeds by vmap", "tasks by vmap"}
    for mine, theirs in zip(apart, together, strict=True):
        for run, found in mine.items():
            assert trees.equal(found, theirs[run])
