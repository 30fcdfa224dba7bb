"""Figures draw what the numbers say."""

from __future__ import annotations

import numpy as np
import pytest

import mamlzoo
from mamlzoo import UsageError, fits, plots
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine

QUICK = {"iterations": 4, "meta_batch": 2, "test_tasks": 6}


@pytest.fixture(scope="module")
def result():
    return mamlzoo.run(seeds=2, **QUICK)


def test_curves_draw_the_mean_and_its_band(result):
    (axes,) = plots.curves([result]).axes
    (line,) = axes.lines
    np.testing.assert_allclose(line.get_ydata(), result.evaluation.mean)
    (band,) = axes.collections
    edges = band.get_paths()[0].vertices
    assert edges[:, 1].max() == pytest.approx((result.evaluation.mean + result.evaluation.ci95).max())
    assert axes.get_ylabel() == "test mse, mean ± 95%"


def test_a_comparison_draws_one_labelled_band_each():
    comparison = mamlzoo.compare(algorithm=["maml", "scratch"], **QUICK)
    (axes,) = comparison.plot().axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["maml", "scratch"]
    assert len(axes.collections) == 2


def test_different_metrics_have_panels_of_their_own():
    comparison = mamlzoo.compare(["sine", "blobs"], algorithm="maml", **QUICK)
    figure = comparison.plot()
    assert [axes.get_ylabel() for axes in figure.axes] == ["test mse, mean ± 95%", "test accuracy, mean ± 95%"]
    assert [len(axes.lines) for axes in figure.axes] == [1, 1]


def test_any_number_of_steps_is_drawn_in_colours_of_their_own(result):
    (axes,) = plots.adaptation([fits.fit(result, steps=range(10))]).axes
    predictions = axes.lines[1:-1]
    assert len({str(line.get_color()) for line in predictions}) == 10


def test_a_legend_names_a_few_of_many_steps(result):
    (axes,) = plots.adaptation([fits.fit(result, steps=range(41))]).axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[1] == "after 0 steps"
    assert labels[-2] == "after 40 steps"
    assert len(labels) == 12


def test_training_draws_the_meta_loss(result):
    (axes,) = plots.training([result]).axes
    assert axes.lines[-1].get_xdata().tolist() == [1, 2, 3, 4]


def test_a_fit_has_the_support_points_the_true_curve_and_the_predictions(result):
    fit = fits.fit(result, steps=(0, 1, 10))
    assert fit.support.shape == (10, 2)
    assert fit.query.shape == (50, 2)
    assert set(fit.predictions) == {0, 1, 10}
    (axes,) = plots.adaptation([fit]).axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["true function", "after 0 steps", "after 1 step", "after 10 steps", "support points"]


def test_a_fits_predictions_are_those_that_were_measured(result):
    fit = fits.fit(result, steps=(0, 3), episode=4, seed=1)
    for step, predicted in fit.predictions.items():
        at_query = np.interp(fit.query[:, 0], fit.x, predicted)
        mse = np.square(at_query - fit.query[:, 1]).mean()
        assert mse == pytest.approx(result.evaluation.values["mse"][1, 4, step], rel=0.02)


def test_a_fit_may_be_one_sided(result):
    fit = fits.fit(result, task_options={"support_min": 0.0})
    assert fit.support[:, 0].min() >= 0
    assert fit.query[:, 0].min() == -5


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"seed": 9}, "seed 9 was not trained; there are: 0, 1"),
        ({"task_options": {"support": 1.0}}, "task 'sine' has no option 'support'"),
        ({"task_options": {"support_min": 9.0}}, "task 'sine': support_min must not exceed support_max"),
    ],
)
def test_a_fit_that_cannot_be_is_refused(result, given, complaint):
    with pytest.raises(UsageError, match=complaint):
        fits.fit(result, **given)


def test_an_episode_that_a_task_does_not_have_is_refused():
    result = mamlzoo.run("scalar", "neuron", "maml", iterations=0)
    with pytest.raises(UsageError, match="task 'scalar' has 2 test episodes, numbered from 0; there is no 2"):
        fits.fit(result, episode=2)


def test_sampled_curves_share_a_grid():
    x, y = fits.curves(Sine(), 300)
    assert x.shape == (50,)
    assert y.shape == (300, 50)


def test_the_mean_of_ten_thousand_sines_is_nearly_zero():
    # A mean of 10,000 waves of variance E[A²]/2 = 4.252 has a standard deviation of 0.021 at each x.
    _, y = fits.curves(Sine(), 10_000)
    assert np.abs(y.mean(0)).max() < 4 * 0.021


def test_a_classification_task_has_no_curves():
    with pytest.raises(UsageError, match="task 'blobs' is not from one number to one number"):
        fits.curves(Blobs(), 3)


def test_a_task_without_a_common_grid_is_not_overlaid():
    with pytest.raises(UsageError, match="task 'scalar' has no common grid"):
        fits.curves(mamlzoo.installed().make("task", "scalar"), 2)


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_files_ending_chooses_the_format_and_the_bytes_are_reproducible(result, tmp_path, ending, magic):
    files = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for file in files:
        plots.save(plots.curves([result]), file)
    assert files[0].read_bytes().startswith(magic)
    if ending != "svg":  # an SVG names its parts at random
        assert files[0].read_bytes() == files[1].read_bytes()


def test_other_endings_are_refused(result, tmp_path):
    with pytest.raises(UsageError, match=r"x\.bmp must end in \.png, \.svg or \.pdf"):
        plots.save(plots.curves([result]), tmp_path / "x.bmp")


def test_values_to_infinity_leave_a_gap():
    result = mamlzoo.run(options={"algorithm.inner_lr": 1e6}, iterations=0, test_tasks=3, test_steps=20)
    (axes,) = plots.curves([result]).axes
    drawn = axes.lines[0].get_ydata()
    assert np.isfinite(drawn[0])
    assert np.isnan(drawn[-1])
    assert np.isfinite(axes.get_ylim()).all()
