"""A trained θ adapted to one's own data: the numbers of an evaluation, and a plain module that gives them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import Recurrent, diverged
from every_algorithm import NAMES, each, fitting, traits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

import mamlzoo
from mamlzoo import UsageError
from mamlzoo.engine.episodes import TestSet
from mamlzoo.engine.judgement import CALIBRATION
from mamlzoo_algorithms.maml import MAML

QUICK = {"iterations": 2, "meta_batch": 2, "test_tasks": 4, "test_steps": 2, "plan": "vmap"}
X = np.array([[-3.0], [0.5], [2.0]])
Y = np.array([[1.0], [-1.0], [0.5]])


@pytest.fixture(scope="module")
def result():
    return mamlzoo.run(seeds=2, options={"algorithm.inner_lr": 0.02}, **QUICK)


@pytest.fixture(scope="module")
def classifier():
    return mamlzoo.run("blobs", algorithm="protonet", options={"task.ways": 2, "task.dimensions": 1}, **QUICK)


def episodes_of(result):
    task = result.experiment.task
    (block,) = TestSet(task, 4, 0, torch.device("cpu")).blocks()
    return block


def is_comparable(name):
    """Its predictions are not random, and its data sets can be given as one array: then the law below speaks of it."""
    return not traits(name) & {"random in predictions", "on a task of sets of several sizes"}


@pytest.mark.parametrize("name", each([name for name in NAMES if is_comparable(name)]))
def test_adapting_to_test_episodes_measures_what_the_evaluation_measured(name):
    result = mamlzoo.run(fitting(name).task, algorithm=name, seeds=2, **QUICK)
    support, query = episodes_of(result)
    for row, seed in enumerate(result.seeds):
        for steps in (0, 2):
            found = result.adapt(support.x, support.y, steps=steps, seed=seed).measure(query.x, query.y)
            for metric, values in result.evaluation.values.items():
                if metric == CALIBRATION:  # of all episodes together another than each one's
                    continue
                ours = found[metric] if values.shape[1] > 1 else np.mean(found[metric])  # what is pooled is one number
                np.testing.assert_allclose(ours, values[row, :, steps].squeeze(), rtol=1e-4, atol=1e-6)


def test_predictions_and_losses_are_those_of_plain_gradient_descent(result):
    adapted = result.adapt(X, Y, steps=3, seed=1)
    network = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    network.load_state_dict({name: value[1] for name, value in result.meta["network"].items()})
    x, y = torch.tensor(X).float(), torch.tensor(Y).float()
    descent = torch.optim.SGD(network.parameters(), 0.02)
    losses = []
    for _ in range(3):
        loss = nn.functional.mse_loss(network(x), y)
        descent.zero_grad()
        loss.backward()
        descent.step()
        losses.append(loss.item())
    losses.append(nn.functional.mse_loss(network(x), y).item())
    np.testing.assert_allclose(adapted.losses, losses, rtol=1e-5)
    np.testing.assert_allclose(adapted.predict(X), network(x).detach().numpy(), rtol=1e-4, atol=1e-6)


@given(
    arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 5), st.just(2)), elements=st.floats(-4, 4)),
    st.integers(0, 3),
)
@settings(max_examples=15, deadline=None)
def test_several_data_sets_at_once_are_adapted_as_one_by_one(result, points, steps):
    x, y = points[..., :1], points[..., 1:]
    at_once = result.adapt(x, y, steps=steps)
    assert at_once.data_sets == len(points)
    for at in range(len(points)):
        alone = result.adapt(x[at], y[at], steps=steps)
        np.testing.assert_allclose(at_once.losses[at], alone.losses, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(at_once.predict(x)[at], alone.predict(x[at]), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(at_once.predict(X)[at], alone.predict(X), rtol=1e-3, atol=1e-4)


class Tied(nn.Module):
    """One weight twice, a frozen scale, and a buffer."""

    def __init__(self):
        super().__init__()
        self.first, self.middle, self.again = nn.Linear(1, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.again.weight = self.middle.weight
        self.last = nn.Linear(4, 1)
        self.scale = nn.Parameter(torch.rand(1), requires_grad=False)
        self.register_buffer("shift", torch.rand(1))
        self.register_buffer("noise", torch.rand(1), persistent=False)

    def forward(self, x):
        hidden = torch.tanh(self.again(torch.tanh(self.middle(torch.tanh(self.first(x))))))
        return self.last(hidden) * self.scale + self.shift + self.noise


def normalised():
    return nn.Sequential(nn.Linear(1, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 1))


@pytest.mark.parametrize("model", ["mlp", Tied, normalised])
@pytest.mark.parametrize("algorithm", ["maml", "anil", "meta-sgd"])
def test_the_module_predicts_what_the_adapted_result_predicts(algorithm, model):
    adapted = mamlzoo.run(model=model, algorithm=algorithm, **QUICK).adapt(X, Y, steps=3)
    grid = torch.linspace(-5, 5, 7)[:, None]
    for mode in (True, False):
        output = adapted.module().train(mode)(grid).detach().numpy()
        np.testing.assert_allclose(output, adapted.predict(grid), rtol=1e-5, atol=1e-6)


def normalised_by_the_batch():
    return torch.func.replace_all_batch_norm_modules_(normalised())


@pytest.mark.parametrize("model", ["mlp", normalised_by_the_batch])
def test_the_state_dict_goes_strictly_into_the_module_that_the_model_builds(model):
    result = mamlzoo.run(model=model, **QUICK)
    adapted = result.adapt([X, X + 1], [Y, Y - 1], steps=3)
    grid = torch.linspace(-5, 5, 7)[:, None]
    for at in range(2):
        plain = result.experiment.model.build(result.experiment.task.spec)
        plain.load_state_dict(adapted.state_dict(at=at), strict=True)
        output = plain(grid).detach().numpy()
        np.testing.assert_allclose(output, adapted.predict(grid)[at], rtol=1e-5, atol=1e-6)


def test_a_state_dict_predicts_as_measured_in_either_mode():
    adapted = mamlzoo.run(model=normalised_by_the_batch, **QUICK).adapt(X, Y, steps=3)
    grid = torch.linspace(-5, 5, 7)[:, None]
    for mode in (True, False):
        network = normalised_by_the_batch().train(mode)
        network.load_state_dict(adapted.state_dict(), strict=True)
        np.testing.assert_allclose(network(grid).detach().numpy(), adapted.predict(grid), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm_statistics", ["support", "running"])
def test_norms_of_other_statistics_predict_in_the_users_own_module_what_was_measured(norm_statistics):
    network = normalised()
    network(torch.linspace(-3, 3, 50)[:, None])  # which trains running statistics
    adapted = mamlzoo.run(model=network, norm_statistics=norm_statistics, **QUICK).adapt(X, Y, steps=3)
    grid, own = torch.linspace(-5, 5, 7)[:, None], normalised()
    own.load_state_dict(adapted.state_dict(), strict=True)
    with torch.no_grad():
        for plain in (own.eval(), adapted.module()):
            np.testing.assert_allclose(plain(grid).numpy(), adapted.predict(grid), rtol=1e-5, atol=1e-6)
    one = adapted.predict(grid[2:3])
    np.testing.assert_allclose(one, adapted.predict(grid)[2:3], rtol=1e-5, atol=1e-6)


def test_a_state_dict_that_would_predict_otherwise_is_refused():
    adapted = mamlzoo.run(model=normalised, **QUICK).adapt(X, Y, steps=3)
    with pytest.raises(
        UsageError, match="batch norm '1' predicts by running statistics in evaluation mode, and this run has"
    ):
        adapted.state_dict()


def test_running_statistics_of_a_new_network_are_refused():
    with pytest.raises(UsageError, match="norm statistics 'running' are those that a network came with, and those"):
        mamlzoo.run(model=normalised, norm_statistics="running", **QUICK)


def test_a_single_row_for_a_batch_norm_is_refused_with_what_to_do():
    adapted = mamlzoo.run(model=normalised, **QUICK).adapt(X, Y)
    with pytest.raises(
        UsageError,
        match="a batch norm, which takes the statistics of the examples that it is given, .*; give 2 or more",
    ):
        adapted.predict([[1.0]])


def test_one_shot_for_a_batch_norm_is_refused_before_training():
    with pytest.raises(UsageError, match="a single example has none; give 2 or more at once"):
        mamlzoo.run(model=normalised, options={"task.shots": 1}, **QUICK)


def test_making_the_module_leaves_random_numbers_and_the_result_alone(result):
    adapted = result.adapt(X, Y)
    before, state = adapted.predict(X), torch.random.get_rng_state()
    with torch.no_grad():
        for parameter in adapted.module().parameters():
            parameter.zero_()
    assert torch.equal(torch.random.get_rng_state(), state)
    np.testing.assert_array_equal(adapted.predict(X), before)


def test_class_means_predict_and_have_no_module(classifier):
    adapted = classifier.adapt([[0.0], [4.0]], [0, 1])
    assert adapted.predict([[0.0], [4.0]]).argmax(1).tolist() == [0, 1]
    with pytest.raises(UsageError) as caught:
        adapted.module()
    assert str(caught.value) == "algorithm 'protonet' does not define `adapted`, so there is no adapted network"


def test_lists_arrays_and_tensors_of_any_precision_are_the_same(result):
    forms = [
        (X.tolist(), Y.tolist()),
        (X, Y),
        (X.astype(np.float32), Y[:, 0]),
        (torch.tensor(X), torch.tensor(Y, requires_grad=True)),
        (torch.tensor(X).bfloat16(), [1, -1, 0.5]),
    ]
    first, *others = (result.adapt(x, y).predict(x) for x, y in forms)
    assert first.dtype == np.float32
    assert first.shape == (3, 1)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_it_is_the_theta_of_the_first_seed_that_did_not_diverge(result):
    assert result.adapt(X, Y).seed == 0
    survivor = diverged(result, {0: 3}).adapt(X, Y)
    assert survivor.seed == 1
    np.testing.assert_array_equal(survivor.predict(X), result.adapt(X, Y, seed=1).predict(X))


def test_a_loaded_result_adapts_to_the_same_bits(result, tmp_path):
    result.save(tmp_path / "run")
    loaded = mamlzoo.load(tmp_path / "run").adapt(X, Y)
    np.testing.assert_array_equal(loaded.predict(X), result.adapt(X, Y).predict(X))


def test_a_network_from_python_adapts_in_the_process_that_ran_it_and_is_refused_later():
    result = mamlzoo.run(model=Tied, **QUICK)
    assert np.isfinite(result.adapt(X, Y).predict(X)).all()
    with pytest.raises(UsageError) as caught:
        replace(result, experiment=None).adapt(X, Y)
    assert str(caught.value) == (
        "model 'Tied' came from Python and its code is not in the run directory; use it in the process that ran it"
    )


def test_a_run_of_a_gpu_is_adapted_on_the_cpu(result):
    settings = result.config["settings"] | {"device": "cuda", "precision": "tf32"}
    elsewhere = replace(result, experiment=None, config=result.config | {"settings": settings})
    np.testing.assert_array_equal(elsewhere.adapt(X, Y).predict(X), result.adapt(X, Y).predict(X))


def test_a_recurrent_network_adapts_to_one_data_set_after_another():
    adapted = mamlzoo.run(model=Recurrent, **QUICK | {"plan": "auto"}).adapt([X, X], [Y, Y])
    assert adapted.plan == "loop"
    np.testing.assert_array_equal(*adapted.predict(X))


def test_it_says_what_it_is(result):
    assert repr(result.adapt(X, Y, steps=3)) == "sine × mlp × maml, seed 0, adapted to one data set by 3 steps"
    assert repr(result.adapt([X, X], [Y, Y])) == "sine × mlp × maml, seed 0, adapted to 2 data sets by 10 steps"


ERRORS = {
    "no axis of inputs": ([1, 2], [1, 2], "x must have the shape [n, 1] or [data sets, n, 1], not [2]"),
    "wide": ([[1, 2]], [1], "x must have the shape [n, 1] or [data sets, n, 1], not [1, 2]"),
    "nothing": (np.zeros((0, 1)), [], "x of shape [0, 1] holds no example"),
    "ragged": ([[1], [2, 3]], [1, 2], "x must be numbers, as a list, an array or a tensor"),
    "words": ([["one"]], [1], "x must be numbers, as a list, an array or a tensor"),
    "NaN": ([[np.nan]], [1], "x holds a number that is not finite in float32"),
    "beyond float32": ([[1]], [1e39], "y holds a number that is not finite in float32"),
    "fewer targets": (X, [1], "y must have the shape [3, 1] or [3] beside x of shape [3, 1], not [1]"),
    "one data set's targets": ([X, X], Y, "y must have the shape [2, 3, 1] or [2, 3] beside x of shape [2, 3, 1], not [3, 1]"),
}  # fmt: skip


@pytest.mark.parametrize(("x", "y", "line"), ERRORS.values(), ids=ERRORS)
def test_data_of_another_kind_are_refused_in_one_line(result, x, y, line):
    with pytest.raises(UsageError) as caught:
        result.adapt(x, y)
    assert str(caught.value) == line


@pytest.mark.parametrize(("wrong", "shown"), [(2, "2"), (-1, "-1"), (0.5, "0.5")])
def test_what_is_no_class_index_is_refused(classifier, wrong, shown):
    with pytest.raises(UsageError) as caught:
        classifier.adapt([[0.0], [1.0]], [0, wrong])
    assert str(caught.value) == f"y must be class indices from 0 to 1, and {shown} is none"


MISUSES = {
    "negative steps": (lambda result: result.adapt(X, Y, steps=-1), "steps must be at least 0, not -1"),
    "unknown seed": (lambda result: result.adapt(X, Y, seed=9), "seed 9 was not trained; there are: 0, 1"),
    "which data set": (
        lambda result: result.adapt([X, X], [Y, Y]).module(),
        "θ was adapted to 2 data sets; at=0 … at=1 says which",
    ),
    "no such data set": (
        lambda result: result.adapt([X, X], [Y, Y]).state_dict(at=2),
        "θ was adapted to 2 data sets, numbered from 0; there is no 2",
    ),
    "no such network": (
        lambda result: result.adapt(X, Y).module("net"),
        "algorithm 'maml' has no network 'net'; did you mean 'network'?",
    ),
    "inputs of other data sets": (
        lambda result: result.adapt(X, Y).predict([X, X]),
        "there are values for 2 data sets, and θ was adapted to 1",
    ),
}


@pytest.mark.parametrize(("misuse", "line"), MISUSES.values(), ids=MISUSES)
def test_what_was_not_adapted_is_refused_in_one_line(result, misuse, line):
    with pytest.raises(UsageError) as caught:
        misuse(result)
    assert str(caught.value) == line


GIVEN = {
    "other names": ({"params": torch.zeros(2)}, "adapted returned params for 'network', which has 0.bias, 0.weight"),
    "other shapes": ({"0.bias": torch.zeros(3), "0.weight": torch.zeros(4)}, "0.bias of 'network' as [3], not [1]"),
    "no parameters": (torch.zeros(2), "adapted returned no dict of parameters for 'network'"),
}


@pytest.mark.parametrize(("given", "said"), GIVEN.values(), ids=GIVEN)
def test_an_algorithm_that_gives_something_else_for_the_adapted_network_is_named(given, said):
    body = {"__doc__": "Odd.", "name": "odd", "adapted": lambda self, learner, meta, fast: {"network": given}}
    odd = type("Odd", (MAML,), body)
    adapted = mamlzoo.run(model=lambda: nn.Sequential(nn.Linear(1, 1)), algorithm=odd, **QUICK).adapt(X, Y)
    with pytest.raises(mamlzoo.PluginError, match=re.escape(said)) as caught:
        adapted.state_dict()
    assert str(caught.value).startswith("algorithm 'odd': ")
    assert len(str(caught.value).splitlines()) == 1
