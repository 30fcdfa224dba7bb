"""A distribution at one's own points: what an adapted θ gives, its files, and the band in figures."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

import mamlzoo
from mamlzoo import Gaussian, Quantiles, Spec
from mamlzoo.contracts.points import Points
from mamlzoo.figures import plots
from mamlzoo.inference import fits
from mamlzoo.inference.predictions import predict
from mamlzoo_tasks.sine import Sine

QUICK = {"iterations": 2, "meta_batch": 2, "test_tasks": 4, "test_steps": 2, "plan": "vmap", "algorithm": "maml"}
X = np.array([[-3], [0.5], [2]], np.float32)
SUPPORT = Points(X, np.array([[1], [-1], [0.5]], np.float32))
QUERY = Points(np.array([[4], [-5]], np.float32), np.array([[0], [1]], np.float32))


class Uncertain(mamlzoo.Task):
    """Sine waves with a mean and a variance of each output."""

    name = "uncertain"
    targets: int = mamlzoo.option(1, "targets", minimum=1)

    @property
    def spec(self):
        return Spec((1,), 2 * self.targets, target_size=self.targets)

    def sample(self, count, *, split, generator):
        drawn = Sine().sample(count, split=split, generator=generator)
        return mamlzoo.Episode(*(mamlzoo.Batch(b.x, b.y.expand(*b.x.shape[:2], self.targets)) for b in drawn))

    def distribution(self, outputs):
        return Gaussian.of(outputs)

    def loss(self, prediction, target):
        return self.distribution(prediction).nll(target)

    def metrics(self, prediction, target):
        return {"mse": (prediction - target).square().mean()}


class FewQuantiles(Uncertain):
    """Sine waves with three quantiles, which do not tell the ends of a 90% interval."""

    name = "few-quantiles"
    spec = Spec((1,), 3, target_size=1)

    def distribution(self, outputs):
        return Quantiles.of(outputs, (0.1, 0.5, 0.9))

    def loss(self, prediction, target):
        return self.distribution(prediction).pinball(target).mean()


@pytest.fixture(scope="module")
def result():
    return mamlzoo.run(Uncertain, **QUICK)


def test_an_adapted_theta_predicts_means_and_gives_the_distribution(result):
    adapted = result.adapt(SUPPORT.x, SUPPORT.y, steps=3)
    found, outputs = adapted.distribution(QUERY.x), adapted.module()(torch.tensor(QUERY.x)).detach()
    torch.testing.assert_close(found.mean, outputs[:, :1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        found.variance, torch.nn.functional.softplus(outputs[:, 1:]) + 1e-6, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(adapted.predict(QUERY.x), found.mean.numpy())


def test_several_data_sets_have_a_distribution_each(result):
    y = np.stack([SUPPORT.y, -SUPPORT.y])
    both = result.adapt(np.stack([X, X]), y, steps=2)
    found = both.distribution(QUERY.x)
    assert found.mean.shape == (2, 2, 1)
    for at in range(2):
        alone = result.adapt(X, y[at], steps=2).distribution(QUERY.x)
        torch.testing.assert_close(found.quantile(0.9)[at], alone.quantile(0.9), rtol=1e-4, atol=1e-5)


def test_metrics_of_ones_own_points_are_the_distributions_too(result):
    adapted = result.adapt(SUPPORT.x, SUPPORT.y, steps=2)
    found = adapted.measure(QUERY.x, QUERY.y)
    assert list(found) == ["mse", "nll", "coverage 50%", "coverage 90%", "calibration error"]
    nll = adapted.distribution(QUERY.x).nll(torch.tensor(QUERY.y))
    assert float(found["nll"]) == pytest.approx(float(nll), rel=1e-5)
    assert float(found["coverage 90%"]) in (0, 0.5, 1)


def test_points_have_no_distribution():
    result = mamlzoo.run("sine", **QUICK)
    assert result.adapt(SUPPORT.x, SUPPORT.y).distribution(QUERY.x) is None
    predicted = predict(result, SUPPORT, QUERY)
    assert predicted.lines()[0] == ["x", "prediction"]
    assert "sd" not in predicted.document(result.run_dir or "")


def test_the_files_hold_the_standard_deviation_and_the_ends(result, tmp_path):
    predicted = predict(result, SUPPORT, QUERY, steps=2)
    predicted.write(tmp_path, tmp_path)
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["x", "prediction", "sd", "low", "high"]
    document = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    for at, line in enumerate(lines):
        mean, sd = float(line["prediction"]), float(line["sd"])
        assert float(line["low"]) == pytest.approx(mean - 1.6448536 * sd, rel=1e-4)
        assert float(line["high"]) == pytest.approx(mean + 1.6448536 * sd, rel=1e-4)
        for name in ("sd", "low", "high"):
            assert document[name][at][0] == pytest.approx(float(line[name]), rel=1e-6)


def test_several_targets_have_numbered_columns():
    result = mamlzoo.run(Uncertain(targets=2), **QUICK)
    support = Points(SUPPORT.x, np.concatenate([SUPPORT.y, -SUPPORT.y], 1))
    header, *_ = predict(result, support, Points(QUERY.x)).lines()
    assert header == [
        "x", "prediction1", "prediction2", "sd1", "sd2", "low1", "low2", "high1", "high2",
    ]  # fmt: skip


def test_quantiles_without_the_ends_give_the_median_alone():
    predicted = predict(mamlzoo.run(FewQuantiles, **QUICK), SUPPORT, QUERY)
    assert predicted.lines()[0] == ["x", "prediction"]
    assert "coverage 50%" in predicted.metrics
    assert "coverage 90%" not in predicted.metrics


def test_a_figure_has_the_band_after_the_last_step(result):
    panel = fits.fit(result, steps=(0, 2))
    low, high = panel.bands[2]
    assert (low < panel.predictions[2]).all()
    assert (panel.predictions[2] < high).all()
    (axes,) = plots.adaptation([panel]).axes
    (band,) = [drawn for drawn in axes.collections if drawn.get_label() == "90% of targets"]
    inside = band.get_paths()[0].vertices
    assert inside[:, 1].min() == pytest.approx(low.min())


def test_a_figure_of_points_has_no_band():
    assert not fits.fit(mamlzoo.run("sine", **QUICK), steps=(0, 1)).bands


def test_adapted_points_are_drawn_with_their_band(result):
    predicted = predict(result, SUPPORT, steps=2)
    assert set(predicted.fit.bands) == set(predicted.fit.predictions) == {0, 1, 2}
