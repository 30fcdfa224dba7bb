"""θ of a loop of one's own, tested on the test set that `run` uses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Spec, UsageError

QUICK = {"iterations": 3, "meta_batch": 2, "test_tasks": 30, "test_steps": 3}
TESTS = {"test_tasks": 30, "test_steps": 3}


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))


def bound(algorithm, made=None, task=None):
    task = task or mamlzoo.make("task", "sine")
    return mamlzoo.bind(algorithm, made or network(), task.loss, task.spec)


@pytest.mark.parametrize(
    ("algorithm", "plan"),
    [("maml", "vmap"), ("maml", "loop"), ("reptile", "vmap"), ("anil", "vmap"), ("meta-sgd", "vmap")],
)
def test_the_theta_of_a_run_gives_the_numbers_of_the_run_to_the_bit(algorithm, plan):
    result = mamlzoo.run("sine", network, algorithm, plan=plan, test_seed=4, **QUICK)
    algorithm = result.experiment.algorithm
    found = mamlzoo.evaluate(algorithm, bound(algorithm)[0], result.meta, "sine", plan=plan, test_seed=4, **TESTS)
    assert found.values.keys() == result.evaluation.values.keys()
    for metric, values in result.evaluation.values.items():
        assert np.array_equal(found.values[metric], values)
    assert found.table().rows == result.table().rows
    assert found.basis() == result.basis()


def test_a_classifier_gives_the_numbers_of_its_run_to_the_bit():
    task = mamlzoo.make("task", "blobs", ways=3)
    result = mamlzoo.run(task, "mlp", "protonet", **QUICK)
    algorithm, model = result.experiment.algorithm, result.experiment.model
    (spec,) = algorithm.networks(task.spec).values()
    learner, _ = bound(algorithm, model.build(spec), task)
    found = mamlzoo.evaluate(algorithm, learner, result.meta, task, **TESTS)
    assert np.array_equal(found.values["accuracy"], result.evaluation.values["accuracy"])
    assert found.higher_is_better


def test_several_theta_one_a_seed_are_tested_side_by_side():
    result = mamlzoo.run("sine", network, "maml", plan="vmap", seeds=3, **QUICK)
    maml = result.experiment.algorithm
    found = mamlzoo.evaluate(maml, bound(maml)[0], result.meta, "sine", plan="vmap", **TESTS)
    assert np.array_equal(found.values["mse"], result.evaluation.values["mse"])
    assert found.over == "seeds"


def test_a_loop_of_ones_own_is_tested_while_it_trains_and_theta_stays_as_it_is():
    maml = mamlzoo.make("algorithm", "maml")
    learner, theta = bound(maml)
    before = [leaf.detach().clone() for leaf in mamlzoo.leaves(theta)]
    found = mamlzoo.evaluate(maml, learner, theta, "sine", **TESTS)
    assert found.values["mse"].shape == (1, 30, 4)
    assert str(found).startswith("test mse after adaptation\n")
    assert "mean over 30 test tasks and 1 seed; 95% t interval over test tasks" in str(found)
    assert "<table>" in found._repr_html_()
    assert all(torch.equal(*pair) for pair in zip(before, mamlzoo.leaves(theta), strict=True))
    assert all(leaf.requires_grad and leaf.grad is None for leaf in mamlzoo.leaves(theta))


def test_a_network_with_a_batch_norm_gives_the_numbers_of_its_run_to_the_bit():
    def normed():
        return nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))

    result = mamlzoo.run("sine", normed, "maml", plan="vmap", **QUICK)
    maml = result.experiment.algorithm
    found = mamlzoo.evaluate(maml, bound(maml, normed())[0], result.meta, "sine", plan="vmap", **TESTS)
    assert np.array_equal(found.values["mse"], result.evaluation.values["mse"])


def test_a_network_without_parameters_has_no_theta_to_test():
    maml = mamlzoo.make("algorithm", "maml")
    learner, theta = bound(maml, nn.Tanh())
    with pytest.raises(UsageError, match="^the network has no parameter that requires a gradient, so there is no θ"):
        mamlzoo.evaluate(maml, learner, theta, "sine")


def test_a_recurrent_network_is_tested_too():
    from conftest import Recurrent

    maml = mamlzoo.make("algorithm", "maml")
    learner, theta = bound(maml, Recurrent())
    assert np.isfinite(mamlzoo.evaluate(maml, learner, theta, "sine", test_tasks=3, test_steps=1).mean).all()


def test_a_theta_that_is_not_finite_is_left_out_with_a_line():
    maml = mamlzoo.make("algorithm", "maml")
    learner, theta = bound(maml)
    broken = mamlzoo.tree_map(lambda leaf: torch.stack([leaf.detach(), leaf.detach() * torch.nan]), theta)
    found = mamlzoo.evaluate(maml, learner, broken, "sine", **TESTS)
    assert np.isfinite(found.mean).all()
    assert "1 of 2 seeds left out of the mean: θ is not finite" in found.table().notes


def test_what_does_not_fit_is_one_clear_line():
    maml = mamlzoo.make("algorithm", "maml")
    learner, theta = bound(maml)
    with pytest.raises(UsageError, match=r"^settings: test_tasks must be at least 1, not 0$"):
        mamlzoo.evaluate(maml, learner, theta, "sine", test_tasks=0)
    with pytest.raises(UsageError, match=r"model 'Sequential' does not fit: the task needs inputs \[n, 8\]"):
        mamlzoo.evaluate(maml, learner, theta, "blobs")
    other = {"network": {"weight": torch.zeros(1, 1)}}
    with pytest.raises(UsageError, match=r"^θ holds network\.weight, and this learner's holds network\.0\.weight, "):
        mamlzoo.evaluate(maml, learner, other, "sine")
    wide = mamlzoo.tree_map(lambda leaf: leaf.detach().repeat(*[1] * (leaf.ndim - 1), 2), theta)
    with pytest.raises(
        UsageError, match=r"^θ's network\.0\.weight is \[8, 2\], and this learner's is \[8, 1\], or that"
    ):
        mamlzoo.evaluate(maml, learner, wide, "sine")
    meta_sgd = mamlzoo.make("algorithm", "meta-sgd")
    with pytest.raises(UsageError, match=r"and this learner's holds .* and \d more; give the one of `bind`$"):
        mamlzoo.evaluate(meta_sgd, learner, theta, "sine")


def test_what_a_network_raises_names_the_network():
    class Refuses(nn.Linear):
        def forward(self, x):
            if not x.requires_grad and len(x) == 10:
                raise ValueError("ten are too many")
            return super().forward(x)

    maml = mamlzoo.make("algorithm", "maml")
    learner, theta = mamlzoo.bind(maml, Refuses(1, 1), nn.functional.mse_loss, Spec((1,), 1))
    with pytest.raises(
        mamlzoo.PluginError, match=r"sine × Refuses × maml failed in testing: ValueError: ten are too many"
    ):
        mamlzoo.evaluate(maml, learner, theta, mamlzoo.make("task", "sine"), test_tasks=2)
