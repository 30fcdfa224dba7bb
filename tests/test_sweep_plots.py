"""A sweep's figures draw what its numbers say."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from mamlzoo import UsageError
from mamlzoo.axes import Axis
from mamlzoo.sweeps import Cell, Estimate, Scores, Sweep


def swept(axes, score):
    """A sweep over axes given as {key: values}, whose validation metric is a function of the values; test is 1 more."""
    cells = []
    for combination in product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        found = score(**values)
        scores = found and Scores(
            "mse", False, Estimate(found, 0.1, ()), Estimate(found + 1, 0.2, ()), "basis", "seeds", 3, {}, 1.0
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
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["validation", "test", "best by validation"]


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
    valid, test = sweep.plot().axes
    np.testing.assert_allclose(valid.images[0].get_array(), [[10, 20], [20, 40], [30, 60]])
    np.testing.assert_allclose(test.images[0].get_array(), [[11, 21], [21, 41], [31, 61]])
    assert {text.get_text() for text in valid.texts} == {"10.0", "20.0", "30.0", "40.0", "60.0"}
    for axes in (valid, test):
        (frame,) = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        assert (round(frame.get_x() + 0.46), round(frame.get_y() + 0.44)) == (0, 0)


def test_of_more_axes_the_first_two_of_numbers_are_drawn_at_the_best_of_the_others():
    sweep = swept(
        {"word": ["a", "b"], "rate": [1, 2], "batch": [3, 4], "more": [5, 6]},
        lambda word, rate, batch, more: rate * batch + (word == "a") * 9.0 + (more == 5) * 0.5,
    )
    figure = sweep.plot()
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[3, 6], [4, 8]])
    assert "at the best of the others: more=6, word=b" in figure.get_suptitle()


def test_a_cell_without_an_option_stands_everywhere_along_it():
    sweep = swept({"algorithm": ["a", "b"], "rate": [1, 2]}, lambda algorithm, rate: 1.0 + rate)
    lonely = Cell({"algorithm": "b"}, sweep.cells[2].config, sweep.cells[2].scores)
    figure = Sweep(sweep.axes, [*sweep.cells[:2], lonely]).plot()
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[2, 3], [2, 2]])


def test_what_failed_or_diverged_says_so_in_its_place():
    values = {(1, 3): 1.0, (1, 4): math.inf, (2, 3): 0.0, (2, 4): 2.0}
    figure = swept({"rate": [1, 2], "batch": [3, 4]}, lambda rate, batch: values[rate, batch]).plot()
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.00", "failed", "diverged", "2.00"]


def test_one_burst_does_not_hide_the_differences_between_the_others():
    values = {(1, 3): 1.0, (1, 4): 2.0, (2, 3): 3.0, (2, 4): 1e18}
    image = swept({"rate": [1, 2], "batch": [3, 4]}, lambda rate, batch: values[rate, batch]).plot().axes[0].images[0]
    shades = {tuple(image.to_rgba(np.array([value]))[0].round(2)) for value in (1.0, 2.0, 3.0, 1e18)}
    assert len(shades) == 4


def test_without_a_finished_cell_there_is_nothing_to_draw():
    with pytest.raises(UsageError, match="no cell of the sweep is finished, so there is nothing to draw"):
        swept({"rate": [1, 2]}, lambda rate: 0).plot()
