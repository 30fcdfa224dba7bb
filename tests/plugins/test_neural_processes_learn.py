"""Neural processes, trained for a minute in all: better than who knows nothing of the support set, below the ceiling."""

from __future__ import annotations

import math

import pytest

import mamlzoo
from mamlzoo_algorithms.exact_gp import ExactGP

TRAINING = {"iterations": 400, "meta_batch": 16, "outer_lr": 1e-3, "plan": "vmap"}
OPTIONS = {"model.hidden": (64, 64, 64)}
GRID = {"algorithm.x_min": -2.0, "algorithm.x_max": 2.0}


def nll(algorithm, **settings):
    """Of each of the same test tasks."""
    return mamlzoo.run("gp", "mlp", algorithm, test_tasks=300, test_steps=0, threads=1, **settings).evaluation.values[
        "nll"
    ][0, :, 0]


def require_less(one, other):
    """In the mean of the tasks, by more than chance."""
    gap = other - one
    assert gap.mean() > 3 * gap.std(ddof=1) / math.sqrt(len(gap))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["cnp", "canp", "np", "anp", "convcnp"])
def test_it_learns_to_use_the_support_set(algorithm):
    found = nll(algorithm, options=GRID if algorithm == "convcnp" else OPTIONS, **TRAINING)
    # A curve that hardly varies is not known the better for a support set: all targets are N(0, 1.05) to it, as they are.
    require_less(found, nll(ExactGP(scale=1e-3, noise=math.sqrt(1.05))))
    require_less(nll(ExactGP()), found)
