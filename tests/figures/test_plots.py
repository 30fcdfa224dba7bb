"""Figures draw what the numbers say."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib import rc_context

import mamlzoo
from mamlzoo import PluginError, UsageError
from mamlzoo.figures import plots
from mamlzoo.inference import fits
from mamlzoo_tasks.sine import Sine


def legend_of(figure: plots.Figure) -> list[str]:
    (legend,) = figure.legends
    assert not any(axes.get_legend() for axes in figure.axes)
    return [text.get_text() for text in legend.get_texts()]


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
    figure = comparison.plot()
    (axes,) = figure.axes
    assert legend_of(figure) == ["maml", "scratch"]
    assert len(axes.collections) == 2


def test_different_metrics_have_panels_of_their_own():
    comparison = mamlzoo.compare(["sine", "blobs"], algorithm="maml", **QUICK)
    figure = comparison.plot()
    assert [axes.get_ylabel() for axes in figure.axes] == ["test mse, mean ± 95%", "test accuracy, mean ± 95%"]
    assert [len(axes.lines) for axes in figure.axes] == [1, 1]


def test_any_number_of_steps_is_drawn_in_colours_of_their_own(result):
    (axes,) = plots.adaptation([fits.fit(result, steps=range(10))]).axes
    predictions = axes.lines[1:]
    assert len({str(line.get_color()) for line in predictions}) == 10


def test_a_legend_names_a_few_of_many_steps(result):
    labels = legend_of(plots.adaptation([fits.fit(result, steps=range(41))]))
    assert labels[1] == "after 0 steps"
    assert labels[-2] == "after 40 steps"
    assert len(labels) == 11


def test_a_long_runs_meta_loss_is_drawn_as_means_that_the_axis_names():
    result = mamlzoo.run(iterations=90, meta_batch=1, test_tasks=2, test_steps=1)
    (axes,) = plots.training([result]).axes
    losses = np.array([record.losses[0] for record in result.history])
    np.testing.assert_allclose(axes.lines[-1].get_ydata(), losses.reshape(45, 2).mean(1), rtol=1e-6)
    assert axes.get_xlabel() == "meta-steps (means of 2)"


def test_a_short_run_beside_a_long_one_is_drawn_as_one_mean():
    short, long = (
        mamlzoo.run(iterations=steps, meta_batch=1, test_tasks=2, test_steps=1, plan="loop") for steps in (2, 120)
    )
    (axes,) = plots.training([short, long]).axes
    assert [len(line.get_xdata()) for line in axes.lines] == [1, 40]
    losses = np.array([record.losses[0] for record in short.history])
    assert axes.lines[0].get_xdata().tolist() == [1.5]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [losses.mean()], rtol=1e-6)
    assert axes.get_xlabel() == "meta-steps (means of up to 3)"


def test_training_draws_the_meta_loss(result):
    (axes,) = plots.training([result]).axes
    assert axes.lines[-1].get_xdata().tolist() == [1, 2, 3, 4]


def test_a_fit_has_the_support_points_the_true_curve_and_the_predictions(result):
    fit = fits.fit(result, steps=(0, 1, 10))
    assert fit.support.shape == (10, 2)
    assert fit.query.shape == (50, 2)
    assert set(fit.predictions) == {0, 1, 10}
    assert legend_of(plots.adaptation([fit])) == [
        "true function",
        "after 0 steps",
        "after 1 step",
        "after 10 steps",
        "support points",
    ]


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


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_files_ending_chooses_the_format_and_the_bytes_are_reproducible(result, tmp_path, ending, magic):
    files = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for file in files:
        plots.save(plots.curves([result]), file)
    assert files[0].read_bytes().startswith(magic)
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


def with_values(result, values, ci95=0.0):
    """The result, had two test episodes these values after each step, and their mean an interval of that width."""
    half = ci95 / 12.7062  # t of one degree of freedom, over the root of two
    array = np.stack([np.asarray(values) - half, np.asarray(values) + half])[None].astype(np.float32)
    return replace(result, evaluation=replace(result.evaluation, values={"mse": array}, rows=[0]))


def test_the_axis_ends_where_the_curves_do(result):
    (axes,) = plots.curves([with_values(result, [4.2, 4.1, 4.0])]).axes
    low, high = axes.get_ylim()
    assert 3.9 < low < 4.0
    assert 4.2 < high < 4.3


def test_a_wide_band_does_not_squeeze_the_curves_and_is_said_to_reach_beyond(result):
    (axes,) = plots.curves([with_values(result, [4.0, 3.0, 2.0], ci95=9.0)]).axes
    low, high = axes.get_ylim()
    assert low <= 2
    assert high >= 4
    assert high - low < 3.5 * 2
    assert axes.get_title("right") == "bands reach beyond the axis"


def test_where_no_mean_is_negative_the_axis_is_not(result):
    (axes,) = plots.curves([with_values(result, [1.0, 0.4, 0.1], ci95=0.5)]).axes
    assert axes.get_ylim()[0] > -0.05


def test_values_far_apart_are_on_a_logarithmic_axis_that_says_so(result):
    (axes,) = plots.curves([with_values(result, [100.0, 10.0, 1.0])]).axes
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel().replace("\n", " ") == "test mse, mean ± 95%, log scale"
    assert axes.get_ylim()[0] < 1
    assert axes.get_ylim()[1] > 100
    assert "10" in [axes.yaxis.get_major_formatter()(value) for value in axes.get_yticks()]


def test_a_run_that_runs_away_does_not_squeeze_the_others(result):
    (axes,) = plots.curves([with_values(result, [4, 3, 2]), with_values(result, [4, 1e6, 1e15])]).axes
    assert axes.get_ylim()[1] < 10
    assert axes.get_title("right") == "curves reach beyond the axis"


def test_many_curves_have_no_bands_that_would_hide_them(result):
    (axes,) = plots.curves([result] * 9).axes
    assert not axes.collections
    assert axes.get_ylabel() == "test mse, mean"


def test_only_the_outer_panels_name_their_axes(result):
    fit = fits.fit(result)
    axes = plots.adaptation([fit] * 5).axes
    assert [one.get_xlabel() for one in axes] == ["", "", "x", "x", "x"]
    assert [one.get_ylabel() for one in axes] == ["y", "", "", "y", ""]


def test_long_titles_keep_to_their_panel(result):
    long = replace(fits.fit(result), title="maml (inner_lr=0.00669433, outer_lr=0.0003, meta_batch=25)")
    figure = plots.adaptation([long] * 3)
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


@pytest.mark.parametrize("count", [1, 4, 30])
def test_the_legend_lies_below_the_axes_and_within_the_figure(result, count):
    figure = plots.curves([result] * count, [f"maml (inner_lr=0.0{at}, meta_batch={at})" for at in range(count)])
    figure.draw_without_rendering()
    (axes,), (legend,) = figure.axes, figure.legends
    box, drawn = legend.get_window_extent(), axes.get_tightbbox()
    assert box.y1 <= drawn.y0
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y0 >= 0
    assert axes.bbox.height > 0.45 * plots.curves([result]).axes[0].bbox.height


def test_lines_differ_without_colour_too():
    looks = plots.looks(7)
    assert len({(str(look.dash), look.mark) for look in looks}) == len({look.colour for look in looks}) == 7


def test_the_panels_of_several_runs_have_one_legend_and_the_same_limits(result):
    other = mamlzoo.run(algorithm="scratch", **QUICK)
    figure = plots.adaptation([fits.fit(result), fits.fit(other)])
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    assert len(legend_of(figure)) == 5


def test_panels_whose_scales_really_differ_keep_their_own(result):
    small = mamlzoo.run(Sine(amplitude_max=0.1), **QUICK)
    figure = plots.adaptation([fits.fit(result), fits.fit(small)])
    assert len({axes.get_ylim() for axes in figure.axes}) == 2


def test_a_prediction_that_runs_away_does_not_squeeze_the_points(result):
    fit = fits.fit(result, steps=[0, 1])
    wild = replace(fit, predictions=fit.predictions | {1: fit.predictions[1] + 1e4})
    (axes,) = plots.adaptation([wild]).axes
    low, high = axes.get_ylim()
    assert low < fit.truth[:, 1].min() < fit.truth[:, 1].max() < high
    assert high - low < 4 * np.ptp(fit.truth[:, 1])


def test_a_sine_is_drawn_smooth_and_judged_on_its_own_points(result):
    fit = fits.fit(result)
    assert (len(fit.truth), len(fit.query)) == (200, 50)
    np.testing.assert_allclose(np.interp(fit.query[:, 0], *fit.truth.T), fit.query[:, 1], atol=0.01)


class Saw(Sine):
    """Sine waves whose finer grid is of other episodes."""

    name = "saw"

    def on_grid(self, points):
        return replace(self, test_points=points, shots=self.shots + 1)


def test_a_finer_grid_of_other_episodes_is_refused():
    with pytest.raises(PluginError, match="task 'saw' on_grid gives other support sets than the task itself"):
        fits.fit(mamlzoo.run(Saw(), **QUICK), steps=[0])


class Plain(Sine):
    """Sine waves that do not tell more of themselves than their query points."""

    name = "plain"
    on_grid = None


@pytest.mark.parametrize(("points", "kind"), [(6, "points"), (50, "points"), (400, "line")])
def test_without_a_finer_grid_a_few_query_points_are_points_and_many_a_line(points, kind):
    fit = fits.fit(mamlzoo.run(Plain(test_points=points), **QUICK), steps=[0])
    assert fit.truth is None
    (axes,) = plots.adaptation([fit]).axes
    lines = [line for line in axes.lines if line.get_label() == "query points"]
    assert len(lines) == (kind == "line")


def drawn_for(task, **options):
    result = mamlzoo.run(task, algorithm="maml", options=options, **QUICK)
    panels = fits.panels(result, steps=[0, 2])
    return panels, plots.adaptation(panels)


def test_a_classification_of_two_inputs_shows_the_region_of_each_class():
    panels, figure = drawn_for("blobs", **{"task.dimensions": 2, "task.ways": 3})
    assert [type(panel) for panel in panels] == [fits.Regions] * 2
    assert [axes.get_title() for axes in figure.axes] == [
        "blobs × mlp × maml\nafter 0 steps", "blobs × mlp × maml\nafter 2 steps"]  # fmt: skip
    for axes, panel in zip(figure.axes, panels, strict=True):
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        for x, y in [*panel.support, *panel.query]:
            assert left < x < right
            assert bottom < y < top
    assert set(legend_of(figure)) == {"support points", "query points", "class 0", "class 1", "class 2"}


def test_the_regions_are_what_the_network_predicts():
    result = mamlzoo.run("blobs", algorithm="maml", options={"task.dimensions": 2, "task.ways": 3}, **QUICK)
    (panel,) = fits.panels(result, steps=[1])
    adapted = result.adapt(panel.support, panel.support_class, steps=1)
    agree = adapted.predict(panel.x.reshape(-1, 2)).argmax(-1) == panel.predicted.ravel()
    assert agree.mean() > 0.999


def test_a_classification_of_more_inputs_counts_what_is_taken_for_what():
    panels, figure = drawn_for("blobs", **{"task.ways": 3, "task.queries": 4})
    assert [panel.counts.sum(1).tolist() for panel in panels] == [[4, 4, 4]] * 2
    for axes, panel in zip(figure.axes, panels, strict=True):
        written = {text.get_text() for text in axes.texts}
        assert written == {str(count) for count in panel.counts.ravel() if count}
    assert [axes.get_xlabel() for axes in figure.axes] == ["predicted class"] * 2
    assert figure.axes[0].get_ylabel() == "true class"


def test_of_many_classes_one_bar_says_the_counts():
    _, figure = drawn_for("blobs", **{"task.ways": 20, "task.queries": 2})
    assert [axes.get_ylabel() for axes in figure.axes[2:]] == ["query points"]


class Linear(mamlzoo.Task):
    """Lines, whose subclasses say in how many inputs and outputs."""

    name = "linear"
    spec = mamlzoo.Spec(input_shape=(1,), output_size=1)

    def sample(self, count, *, split, generator):
        (inputs,), outputs = self.spec.input_shape, self.spec.output_size
        slope = torch.randn(count, inputs, outputs, generator=generator)
        x = torch.randn(2, count, 8, inputs, generator=generator)
        return mamlzoo.Episode(*(mamlzoo.Batch(one, one @ slope) for one in x))

    def loss(self, prediction, target):
        return (prediction - target).square().mean()

    def metrics(self, prediction, target):
        return {"mse": self.loss(prediction, target)}


class Wide(Linear):
    """Lines in three inputs with two outputs."""

    name = "wide"
    spec = mamlzoo.Spec(input_shape=(3,), output_size=2)


class Pair(Linear):
    """Lines in one input with two outputs."""

    name = "pair"
    spec = mamlzoo.Spec(input_shape=(1,), output_size=2)


def test_of_several_inputs_predictions_are_drawn_against_what_is_true():
    (panel,), figure = drawn_for(Wide())
    (axes,) = figure.axes
    assert panel.target.shape == (8, 2)
    assert legend_of(figure) == ["as it should be", "after 0 steps", "after 2 steps"]
    low, high = axes.get_xlim()
    assert low < panel.target.min() <= panel.target.max() < high
    assert axes.get_xlabel() == "true y of the query points, all 2 outputs"


def test_each_of_several_outputs_has_its_panel():
    panels, figure = drawn_for(Pair())
    assert [axes.get_ylabel() for axes in figure.axes] == ["y1", "y2"]
    assert [panel.output for panel in panels] == ["y1", "y2"]


def test_what_is_not_finite_is_left_out():
    result = mamlzoo.run("blobs", algorithm="maml", options={"task.dimensions": 2, "algorithm.inner_lr": 1e30},
                         iterations=0, test_tasks=2, test_steps=1)  # fmt: skip
    panels = fits.panels(result, steps=[0, 5])
    assert (panels[1].predicted == -1).all()
    plots.adaptation(panels).draw_without_rendering()


def test_a_dollar_in_a_title_is_a_dollar(result):
    figure = plots.adaptation([replace(fits.fit(result), title="$x^$")])
    figure.draw_without_rendering()
    assert figure.axes[0].get_title() == "$x^$"


def test_the_users_own_style_does_not_change_a_figure(result, tmp_path):
    plots.save(plots.curves([result]), tmp_path / "own.png")
    with rc_context({"font.size": 30, "axes.facecolor": "black", "text.usetex": True, "lines.linewidth": 9}):
        plots.save(plots.curves([result]), tmp_path / "theirs.png")
    assert (tmp_path / "own.png").read_bytes() == (tmp_path / "theirs.png").read_bytes()


INLINE = "module://matplotlib_inline.backend_inline"


@pytest.mark.parametrize(
    ("backend", "module"),
    [
        pytest.param(INLINE, "figures.plots", marks=pytest.mark.slow),
        ("no backend at all", "figures"),
        pytest.param("svg", "figures", marks=pytest.mark.slow),
    ],
)
def test_the_environments_backend_is_of_no_concern(tmp_path, backend, module):
    code = f"import os, mamlzoo.{module}, matplotlib; print(os.environ['MPLBACKEND'], matplotlib.rcParams['backend'])"
    environment = {**os.environ, "MPLBACKEND": backend, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=True
    )
    assert done.stdout.startswith(backend)
    if backend == "svg":  # one that is there is kept, for a notebook's own figures
        assert done.stdout == "svg svg\n"


def test_publishers_take_the_fonts_of_a_pdf_and_text_of_an_svg_stays_text(result, tmp_path):
    for ending in ("pdf", "svg"):
        plots.save(plots.curves([result]), tmp_path / f"x.{ending}")
    assert b"/Type3" not in (tmp_path / "x.pdf").read_bytes()
    assert "adaptation steps</text>" in (tmp_path / "x.svg").read_text()


def test_a_legend_alone_lies_within_its_figure(result):
    figure = plots.key(fits.fit(result))
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
