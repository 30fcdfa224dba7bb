"""Predictions with uncertainty: what comes by itself, under each plan, pooled, padded, and on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from second_contract import DeepKernel
from torch import nn
from uncertain_plugins import (
    AsItIs,
    ByLikelihood,
    FromTheProcess,
    QuantileSine,
    SampledProcess,
    UncertainBlobs,
    UncertainDeepKernel,
    UncertainSine,
)

import mamlzoo
from mamlzoo import Batch, Categorical, Gaussian, Quantiles, Spec, trees
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.episodes import TestSet
from mamlzoo.engine.evaluation import evaluate
from mamlzoo.engine.judgement import judge, pooled
from mamlzoo.engine.mapping import MAPS
from mamlzoo.engine.masked_metrics import judge_padded
from mamlzoo.runs.execution import finished
from mamlzoo.testing import conformance
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.protonet import ProtoNet
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")
SMALL = MLP(hidden=(16,), activation="tanh")
OF_A_GAUSSIAN = ["nll", "coverage 50%", "coverage 90%", "calibration error"]
COMBINATIONS = {
    "a Gaussian under MAML": (UncertainSine(), SMALL, MAML(inner_lr=0.01)),
    "a Gaussian of 1 to 20 points": (UncertainSine(shots="1..20"), SMALL, MAML(inner_lr=0.01)),
    "likelihood alone": (ByLikelihood(), SMALL, MAML(inner_lr=0.01)),
    "quantiles under MAML": (QuantileSine(), SMALL, MAML(inner_lr=0.01)),
    "classes by ProtoNet": (UncertainBlobs(), SMALL, ProtoNet()),
    "classes of 1 to 10 points by ProtoNet": (UncertainBlobs(shots="1..10"), SMALL, ProtoNet()),
    "a GP on a task of points": (Sine(), SMALL, UncertainDeepKernel()),
    "a GP on a task of Gaussians": (UncertainSine(), SMALL, UncertainDeepKernel()),
    "a GP on a task of Gaussians of 1 to 20 points": (UncertainSine(shots="1..20"), SMALL, UncertainDeepKernel()),
    "a GP on a task of quantiles": (QuantileSine(), SMALL, UncertainDeepKernel()),
    "samples of a latent process": (Sine(), SMALL, SampledProcess()),
}
QUICK = [
    "a Gaussian of 1 to 20 points",
    "likelihood alone",
    "quantiles under MAML",
    "classes of 1 to 10 points by ProtoNet",
    "a GP on a task of Gaussians of 1 to 20 points",
    "a GP on a task of quantiles",
    "samples of a latent process",
]
EACH = pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in COMBINATIONS if name not in QUICK)]
)
SETTINGS = {
    "meta_batch": 3, "iterations": 3, "test_tasks": 6, "test_steps": 2, "optimizer": "sgd", "outer_lr": 0.01,
    "threads": 1, "seeds": [0, 1],
}  # fmt: skip


def run(name, **settings):
    return mamlzoo.run(*COMBINATIONS[name], **{**SETTINGS, **settings})


@EACH
def test_loops_and_batches_give_the_same_numbers(name):
    batched, looped = run(name, plan="vmap").evaluation.values, run(name, plan="loop").evaluation.values
    assert list(batched) == list(looped)
    for metric, values in batched.items():
        assert np.isfinite(values).all(), metric
        np.testing.assert_allclose(values, looped[metric], rtol=1e-4, atol=1e-5, err_msg=metric)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a Gaussian of 1 to 20 points", "quantiles under MAML"])
def test_compiled_programs_give_the_same_numbers(name):
    batched, compiled = (run(name, plan=plan).evaluation.values for plan in ("vmap", "compile"))
    for metric, values in batched.items():
        np.testing.assert_allclose(values, compiled[metric], rtol=1e-4, atol=1e-4, err_msg=metric)


def test_metrics_come_by_themselves_after_the_tasks_own():
    expected = {
        "a Gaussian under MAML": ["mse", *OF_A_GAUSSIAN],
        "likelihood alone": OF_A_GAUSSIAN,
        "quantiles under MAML": ["mae", "pinball", *OF_A_GAUSSIAN[1:]],
        "classes by ProtoNet": ["accuracy", "nll", "calibration error"],
        "a GP on a task of points": ["mse", *OF_A_GAUSSIAN],
        "a GP on a task of Gaussians": ["mse", *OF_A_GAUSSIAN],
    }
    assert {name: list(run(name, iterations=0).evaluation.values) for name in expected} == expected


def test_nothing_comes_where_there_is_no_distribution():
    assert list(mamlzoo.run(Sine(), SMALL, MAML(), **SETTINGS).evaluation.values) == ["mse"]


def test_the_mean_of_a_process_is_judged_as_points_are():
    """The same network, the same numbers: what is known beside the mean changes nothing of it."""
    with_own = mamlzoo.run(Sine(), SMALL, UncertainDeepKernel(), **SETTINGS)
    points = mamlzoo.run(Sine(), SMALL, DeepKernel(), **SETTINGS)
    assert trees.equal(with_own.meta, points.meta)
    np.testing.assert_allclose(with_own.evaluation.main, points.evaluation.main, rtol=1e-4, atol=1e-6)


def test_a_process_covers_its_own_prior_as_often_as_it_says():
    """Functions drawn from the very process with its parameters: 50% and 90%, within sampling error.

    Query points of one episode depend on each other, so the error of the shares is that of a mean over episodes.
    """
    episodes = 600
    bound = bind_seeds(FromTheProcess(), _as_it_is(), UncertainDeepKernel(), (0,), CPU)
    tests = TestSet(FromTheProcess(), episodes, 0, CPU)
    found = finished(evaluate(bound, bound.meta, FromTheProcess(), tests, 0, "vmap"))
    for level in (0.5, 0.9):
        share = float(found[f"coverage {level:.0%}"][0, 0, 0])
        allowed = 4 * np.sqrt(level * (1 - level) / episodes / 4)  # 20 points of an episode are worth 4 at least
        assert share == pytest.approx(level, abs=allowed)
    assert found["calibration error"][0, 0, 0] < 0.03
    # The density of one point, averaged: E −log N(y; μ, s²) = ½·log(2πe·s²) where the process is right.
    variances = []
    for at in range(200):
        support, query = trees.index(tests.episode(at), 0)
        a, b = support.x.double(), query.x.double()
        kernel = (-(a - a.T).square() / 2).exp() + 0.01 * torch.eye(len(a))
        cross = (-(b - a.T).square() / 2).exp()
        variances.append(1.01 - (cross @ torch.linalg.inv(kernel) * cross).sum(1))
    wanted = (0.5 * (2 * np.pi * np.e * torch.stack(variances)).log()).mean()
    assert float(found["nll"].mean()) == pytest.approx(float(wanted), abs=0.06)


def _as_it_is():
    from mamlzoo.runs.name_resolution import plugin

    return plugin("model", AsItIs)


@pytest.mark.parametrize(("noise", "shares"), [(0.05, "below"), (0.5, "above")])
def test_a_process_that_is_too_sure_covers_too_little(noise, shares):
    task = FromTheProcess(noise=0.2)
    bound = bind_seeds(task, _as_it_is(), UncertainDeepKernel(noise=noise), (0,), CPU)
    found = finished(evaluate(bound, bound.meta, task, TestSet(task, 200, 0, CPU), 0, "vmap"))
    share = float(found["coverage 90%"].mean())
    assert share < 0.85 if shares == "below" else share > 0.93


def test_the_negative_log_likelihood_of_classes_is_the_cross_entropy():
    logits, target = torch.randn(9, 3), torch.arange(9) % 3
    found = judge(UncertainBlobs(), logits, target).values
    torch.testing.assert_close(found["nll"], nn.functional.cross_entropy(logits, target))


def test_calibration_of_classes_is_that_of_a_small_example():
    """Five points: confidence .6 (right, wrong, right) in one bin, .9 (right, wrong) in another.

    ECE = 3/5·|2/3 − .6| + 2/5·|1/2 − .9| = .04 + .16 = .2.
    """
    shares = torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.4, 0.6], [0.9, 0.1], [0.1, 0.9]])
    target = torch.tensor([0, 1, 1, 0, 0])
    task = _Pair()
    found = judge(task, shares.log(), target)
    assert float(pooled(found.sums["calibration error"])) == pytest.approx(0.2, abs=1e-6)
    # Pooled over two episodes, and not the mean of theirs, which is larger: gaps of one bin make up for each other.
    parts = [judge(task, shares[rows].log(), target[rows]).sums["calibration error"] for rows in ([0, 3], [1, 2, 4])]
    assert float(pooled(sum(parts))) == pytest.approx(0.2, abs=1e-6)
    assert np.mean([float(pooled(part)) for part in parts]) > 0.25


class _Pair(UncertainBlobs):
    """Of two classes."""

    name = "pair"
    spec = Spec((2,), 2, kind="classification")


def test_coverage_and_calibration_of_a_few_targets():
    prediction = Gaussian(torch.zeros(4, 1), torch.ones(4, 1))
    target = torch.tensor([[0.0], [0.5], [1.0], [3.0]])  # |z| below .6745: two; below 1.645: three
    found = {name: float(pooled(sums)) for name, sums in judge(Sine(), prediction, target).sums.items()}
    assert found["coverage 50%"] == pytest.approx(0.5)
    assert found["coverage 90%"] == pytest.approx(0.75)
    below = torch.distributions.Normal(0, 1).cdf(target.double()).numpy()
    levels = np.arange(1, 20) / 20
    wanted = np.mean([abs((below <= level).mean() - level) for level in levels])
    assert found["calibration error"] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_prediction_that_ran_away_is_not_counted_as_a_miss(bad):
    prediction = Gaussian(torch.tensor([[0.0], [bad]]), torch.full((2, 1), torch.nan))
    found = judge(Sine(), prediction, torch.zeros(2, 1)).sums
    assert all(torch.isnan(pooled(sums)) for sums in found.values())


def padded(n, spare):
    """Two episodes, and the same with padding of other numbers."""
    generator = torch.Generator().manual_seed(3)
    mask = torch.arange(n)[None] < torch.tensor([[n], [n - spare]])
    prediction = Gaussian(torch.randn(1, 2, n, 1, generator=generator), torch.rand(1, 2, n, 1, generator=generator))
    return prediction, torch.randn(2, n, 1, generator=generator), mask


@pytest.mark.parametrize("plan", MAPS)
def test_padding_does_not_count(plan):
    prediction, target, mask = padded(6, 2)
    found = judge_padded(Sine(), prediction, target, mask, MAPS[plan])
    alone = [judge(Sine(), trees.index(prediction, (0, at, slice(n))), target[at, :n]) for at, n in enumerate((6, 4))]
    for name, values in found.values.items():
        torch.testing.assert_close(values[0], torch.stack([one.values[name] for one in alone]))
    for name, sums in found.sums.items():
        torch.testing.assert_close(sums[0], torch.stack([one.sums[name] for one in alone]))
        assert sums[0, :, -1].tolist() == [6, 4]


def test_the_order_of_examples_says_nothing():
    generator = torch.Generator().manual_seed(5)
    prediction = Quantiles(torch.randn(9, 1, 5, generator=generator), (0.05, 0.25, 0.5, 0.75, 0.95))
    target, order = torch.randn(9, 1, generator=generator), torch.randperm(9, generator=generator)
    one, two = judge(Sine(), prediction, target), judge(Sine(), trees.index(prediction, order), target[order])
    torch.testing.assert_close(one, two)


def test_a_loss_of_a_distribution_is_its_own_where_outputs_are_no_points():
    prediction, batch = Gaussian(torch.zeros(3, 1), torch.ones(3, 1)), Batch(None, torch.ones(3, 1))
    mask = torch.tensor([True, True, False])
    wild = Gaussian(torch.tensor([[0.0], [0.0], [torch.inf]]), torch.tensor([[1.0], [1.0], [torch.nan]]))
    for task, wanted in ((Sine(), 1.0), (UncertainSine(), float(prediction.nll(batch.y)))):
        learner = bind_seeds(task, SMALL, UncertainDeepKernel(), (0,), CPU).learner
        assert float(learner.loss_of(prediction, batch)) == pytest.approx(wanted)
        assert float(learner.loss_of(wild, Batch(None, batch.y, mask))) == pytest.approx(wanted)


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("name", ["a Gaussian of 1 to 20 points", "classes by ProtoNet", "quantiles under MAML"])
def test_a_result_is_loaded_and_reported_as_it_was(name, tmp_path):
    result = run(name, iterations=1)
    loaded = mamlzoo.load(mamlzoo.save(result, tmp_path / "run").run_dir)
    assert list(loaded.evaluation.values) == list(result.evaluation.values)
    for metric, values in result.evaluation.values.items():
        np.testing.assert_array_equal(values, loaded.evaluation.values[metric])
    document = json.loads((tmp_path / "run" / "result.json").read_text())["evaluation"]
    assert np.shape(document["other_metrics_per_seed"].get("calibration error")) == (2, 3)
    notes = " ".join(result.table().notes)
    assert f"calibration error {result.evaluation.values['calibration error'][..., -1].mean():.2g}"[:20] in notes


def test_a_distribution_of_something_else_is_named():
    class Wide(UncertainSine):
        """Reads two outputs as two means."""

        name = "wide"

        def distribution(self, outputs):
            return Gaussian(outputs, outputs.exp())

    with pytest.raises(mamlzoo.PluginError, match=r"distribution returned a Gaussian of shape \[10, 2\].*\[10, 1\]"):
        mamlzoo.run(Wide(), SMALL, MAML(), **SETTINGS)

    class Bare(UncertainSine):
        """Gives a tensor."""

        name = "bare"

        def distribution(self, outputs):
            return outputs

        def loss(self, prediction, target):
            return (prediction - target).square().mean()

    with pytest.raises(mamlzoo.PluginError, match=r"distribution returned a Tensor; it must be a mamlzoo.Distribution"):
        mamlzoo.run(Bare(), SMALL, MAML(), **SETTINGS)


def test_a_categorical_of_a_process_of_points_is_refused():
    class Classes(UncertainDeepKernel):
        """Predicts classes where numbers are wanted."""

        name = "classes"

        def predict(self, learner, meta, fast, x):
            return Categorical(x.new_zeros(len(x), 3))

    with pytest.raises(mamlzoo.PluginError, match=r"predict returned a Categorical of shape \[10, 3\]"):
        mamlzoo.run(Sine(), SMALL, Classes(), **SETTINGS)


test_the_plugins_conform = conformance(
    UncertainSine(), ByLikelihood(), QuantileSine(), UncertainBlobs(), UncertainDeepKernel()
)


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        (Spec((1,), 2, target_size=1.5), "not 1.5 of a regression"),
        (Spec((1,), 2, kind="classification", target_size=1), "not 1 of a classification"),
    ],
)
def test_a_size_of_targets_that_is_none_is_named(spec, wrong):
    class Odd(UncertainSine):
        """Says something else of its targets."""

        name = "odd"

    Odd.spec = spec
    with pytest.raises(mamlzoo.PluginError, match=f"target_size must be a whole number, and of a regression, {wrong}"):
        mamlzoo.run(Odd(), SMALL, MAML(), **SETTINGS)
