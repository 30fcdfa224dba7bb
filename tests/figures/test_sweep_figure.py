"""A sweep's figures draw what its numbers say."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import LogNorm

from mamlzoo import UsageError
from mamlzoo.figures.axis_limits import without_outliers
from mamlzoo.figures.sweep import FRAME
from mamlzoo.sweeps.axes import Axis
from mamlzoo.sweeps.cells import Cell, Estimate, Scores
from mamlzoo.sweeps.sweep import Sweep


def swept(axes, score, gap=1):
    """A sweep over axes given as {key: values}, whose validation metric is a function of the values; test is so much more."""
    cells = []
    for combination in product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        found = score(**values)
        scores = found and Scores(
            "mse", False, Estimate(found, 0.1, ()), Estimate(found + gap, 0.2, ()), "basis", "seeds", 3, {}, 1.0
        )
        config = {kind: {"name": kind, "options": {}} for kind in ("task", "model", "algorithm")}
        cells.append(Cell(values, config, scores or None, None if found else "it broke"))
    return Sweep([Axis(key, key, tuple(values)) for key, values in axes.items()], cells)


def test_numbers_are_lines_with_bands_on_the_axis_that_suits_them():
    (axes,) = swept({"rate": [0.1, 0.001, 0.01]}, lambda rate: rate + 1).plot().axes
    valid, test = axes.lines
    np.testing.assert_allclose(valid.get_xdata(), [0.001, 0.01, 0.1])
    np.testing.assert_allclose(valid.get_ydata(), [1.001, 1.01, 1.1])
    np.testing.assert_allclose(test.get_ydata(), [2.001, 2.01, 2.1])
    assert axes.collections[1].get_paths()[0].vertices[:, 1].max() == pytest.approx(2.3)
    assert axes.get_xscale() == "log"
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["validation", "test", "best by validation"]


def test_the_best_by_validation_has_a_ring():
    (axes,) = swept({"batch": [4, 8, 12]}, lambda batch: abs(batch - 8) + 1.0).plot().axes
    assert axes.get_xscale() == "linear"
    assert axes.collections[-1].get_offsets().tolist() == [[8.0, 1.0]]


def test_words_are_points_with_error_bars_and_a_failed_cell_is_a_cross():
    figure = swept({"optimizer": ["sgd", "adam"]}, lambda optimizer: 2.0 if optimizer == "adam" else 0).plot()
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["sgd", "adam"]
    assert len(axes.containers) == 2
    (cross,) = [line for line in axes.lines if line.get_marker() == "x"]
    assert cross.get_xdata().tolist() == [0.0]


def test_two_axes_are_two_heat_maps_with_their_values_written_and_the_best_framed():
    sweep = swept({"rate": [2, 1], "batch": [10, 20, 30]}, lambda rate, batch: float(rate * batch))
    valid, test, _ = sweep.plot().axes
    np.testing.assert_allclose(valid.collections[0].get_array(), [[10, 20], [20, 40], [30, 60]])
    np.testing.assert_allclose(test.collections[0].get_array(), [[11, 21], [21, 41], [31, 61]])
    assert {text.get_text() for text in valid.texts} == {"10.0", "20.0", "30.0", "40.0", "60.0"}
    for axes in (valid, test):
        (frame,) = [patch for patch in axes.patches if patch.get_label() == FRAME]
        assert (int(frame.get_x()), int(frame.get_y())) == (0, 0)


def test_of_more_axes_the_first_two_of_numbers_are_drawn_at_the_best_of_the_others():
    sweep = swept(
        {"word": ["a", "b"], "rate": [1, 2], "batch": [3, 4], "more": [5, 6]},
        lambda word, rate, batch, more: rate * batch + (word == "a") * 9.0 + (more == 5) * 0.5,
    )
    figure = sweep.plot()
    np.testing.assert_allclose(figure.axes[0].collections[0].get_array(), [[3, 6], [4, 8]])
    assert "at the best of the others: more=6, word=b" in figure.get_suptitle()


def test_a_cell_without_an_option_stands_everywhere_along_it():
    sweep = swept({"algorithm": ["a", "b"], "rate": [1, 2]}, lambda algorithm, rate: 1.0 + rate)
    lonely = Cell({"algorithm": "b"}, sweep.cells[2].config, sweep.cells[2].scores)
    figure = Sweep(sweep.axes, [*sweep.cells[:2], lonely]).plot()
    np.testing.assert_allclose(figure.axes[0].collections[0].get_array(), [[2, 3], [2, 2]])


def test_what_failed_or_diverged_says_so_in_its_place():
    values = {(1, 3): 1.0, (1, 4): math.inf, (2, 3): 0.0, (2, 4): 2.0}
    figure = swept({"rate": [1, 2], "batch": [3, 4]}, lambda rate, batch: values[rate, batch]).plot()
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.00", "failed", "diverged", "2.00"]


def test_one_burst_does_not_hide_the_differences_between_the_others():
    values = {(1, 3): 1.0, (1, 4): 2.0, (2, 3): 3.0, (2, 4): 1e18}
    image = (
        swept({"rate": [1, 2], "batch": [3, 4]}, lambda rate, batch: values[rate, batch]).plot().axes[0].collections[0]
    )
    shades = {tuple(image.to_rgba(np.array([value]))[0].round(2)) for value in (1.0, 2.0, 3.0, 1e18)}
    assert len(shades) == 4


def test_one_bad_cell_lies_beyond_a_scale_that_tells_the_others_apart():
    values = {(1, 3): 1.0, (1, 4): 1.2, (2, 3): 1.5, (2, 4): 900.0}
    *maps, bar = swept({"rate": [1, 2], "batch": [3, 4]}, lambda rate, batch: values[rate, batch]).plot().axes
    for axes in maps:
        mesh = axes.collections[0]
        assert (mesh.norm.vmin, mesh.norm.vmax) == (1.0, 2.5)  # test is 1 more
        assert "900 ▲" in [text.get_text() for text in axes.texts] or "901 ▲" in [
            text.get_text() for text in axes.texts
        ]
    assert bar.get_ylabel() == "mse"


def test_a_scale_over_decades_is_logarithmic_and_says_so():
    *maps, bar = swept({"rate": [1, 10, 100], "batch": [1, 3, 9]}, lambda rate, batch: 0.5 * rate * batch).plot().axes
    assert isinstance(maps[0].collections[0].norm, LogNorm)
    assert bar.get_ylabel() == "mse, log scale"


def test_one_bad_cell_of_a_line_is_marked_where_it_leaves_the_axis():
    figure = swept({"rate": [0.1, 0.2, 0.3, 0.4]}, lambda rate: 1e7 if rate == 0.4 else 1 + rate).plot()
    (axes,) = figure.axes
    assert axes.get_ylim()[1] < 5
    (mark,) = [line for line in axes.lines if line.get_label() == "beyond the axis"]
    assert mark.get_xdata().tolist() == [0.4]


@pytest.mark.parametrize("cells", [2, 3, 4])
def test_validation_and_test_may_lie_far_apart_and_both_are_drawn(cells):
    (axes,) = swept({"rate": [*range(1, cells + 1)]}, lambda rate: float(rate), gap=1000).plot().axes
    assert not [line for line in axes.lines if line.get_label() == "beyond the axis"]
    low, high = axes.get_ylim()
    assert all(low < y < high for line in axes.lines[:2] for y in line.get_ydata())


def test_a_cell_that_is_still_to_be_run_is_not_called_failed():
    sweep = swept({"rate": [0.1, 0.2, 0.3]}, lambda rate: 1 + rate)
    cells = [*sweep.cells[:2], Cell(sweep.cells[2].values, sweep.cells[2].config)]
    (axes,) = Sweep(sweep.axes, cells).plot().axes
    assert not [line for line in axes.lines if line.get_marker() == "x"]


def test_diverged_cells_are_hatched():
    values = {(1, 3): 1.0, (1, 4): math.inf, (2, 3): 1.5, (2, 4): 2.0}
    axes = swept({"rate": [1, 2], "batch": [3, 4]}, lambda rate, batch: values[rate, batch]).plot().axes[0]
    (hatched,) = [patch for patch in axes.patches if patch.get_hatch()]
    assert hatched.get_xy() == (0, 1)


def test_long_numbers_are_short_on_an_axis():
    (axes,) = swept({"rate": [0.001, 0.00312913, 0.00979148]}, lambda rate: rate + 1).plot().axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.001", "0.00313", "0.00979"]


@given(st.lists(st.floats(0.5, 2), min_size=3, max_size=30), st.floats(1e3, 1e25))
def test_whatever_is_far_off_the_scale_is_that_of_the_others(values, outlier):
    assert without_outliers([*values, outlier], higher_is_better=False) == without_outliers(
        values, higher_is_better=False
    )


def test_cells_that_are_all_alike_but_one_have_a_scale_too():
    values = {(1, 3): 1.0, (1, 4): 1.0, (2, 3): 1.0, (2, 4): 0.0}
    swept({"rate": [1, 2], "batch": [3, 4]}, lambda rate, batch: values[rate, batch]).plot().draw_without_rendering()
    assert without_outliers([0.9, 0.9, 0.9, 0.89], higher_is_better=True) == (0.89, 0.9)
    assert without_outliers([0.9, 0.9, 0.9, 0.2], higher_is_better=True) == (0.9, 0.9)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30), st.booleans())
def test_a_scale_ends_at_values_and_holds_the_best(values, better):
    low, high = without_outliers(values, higher_is_better=better)
    assert {low, high} <= set(values)
    assert low <= (max if better else min)(values) <= high


def test_a_poor_accuracy_among_good_ones_is_off_the_scale():
    assert without_outliers([0.95, 0.94, 0.93, 0.2], higher_is_better=True) == (0.93, 0.95)
    assert without_outliers([0.2, 0.4, 0.6, 0.8], higher_is_better=True) == (0.2, 0.8)


def test_without_a_finished_cell_there_is_nothing_to_draw():
    with pytest.raises(UsageError, match="no cell of the sweep is finished, so there is nothing to draw"):
        swept({"rate": [1, 2]}, lambda rate: 0).plot()
