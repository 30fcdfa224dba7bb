"""Neural processes, trained for a minute in all: better than who knows nothing of the support set, below the ceiling."""

from __future__ import annotations

import pytest

import mamlzoo

TRAINING = {"iterations": 400, "meta_batch": 16, "outer_lr": 1e-3, "test_tasks": 300, "test_steps": 0, "plan": "vmap"}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["cnp", "canp", "np", "anp", "convcnp"])
def test_it_learns_to_use_the_support_set(algorithm):
    options = {"model.hidden": (64, 64, 64)}
    if algorithm == "convcnp":
        options = {"algorithm.x_min": -2.0, "algorithm.x_max": 2.0}
    found = mamlzoo.run("gp", "mlp", algorithm, options=options, **TRAINING).evaluation.values["nll"].mean()
    ceiling = mamlzoo.run("gp", "mlp", "exact-gp", test_tasks=300, test_steps=0).evaluation.values["nll"].mean()
    # Without the support set a target is N(0, 1.05) at best, whose −log p is ½·log(2πe·1.05) = 1.44 in the mean.
    assert ceiling < found < 1.40
