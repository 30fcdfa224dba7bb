"""A gallery's episodes are a task's test episodes."""

from __future__ import annotations

import numpy as np
import pytest

import mamlzoo
from mamlzoo import UsageError
from mamlzoo.figures import plots
from mamlzoo.inference import samples
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.csv import CSV
from mamlzoo_tasks.sine import Sine


def test_sampled_curves_share_a_grid_that_is_fine_enough_to_be_drawn():
    found = samples.of(Sine(), 300)
    assert isinstance(found, samples.Curves)
    assert found.x.shape == (200,)
    assert found.y.shape == (300, 200)
    own = mamlzoo.installed().make("task", "sine", {"test_points": 200})
    np.testing.assert_array_equal(samples.curves(own, 300).y, found.y)


def test_the_mean_of_ten_thousand_sines_is_nearly_zero():
    # A mean of 10,000 waves of variance E[A²]/2 = 4.252 has a standard deviation of 0.021 at each x.
    assert np.abs(samples.curves(Sine(), 10_000).y.mean(0)).max() < 4 * 0.021


def test_a_classification_task_has_no_curves():
    with pytest.raises(UsageError, match="task 'blobs' is not from one number to one number"):
        samples.curves(Blobs(), 3)


def test_a_task_without_a_common_grid_has_no_mean():
    with pytest.raises(UsageError, match="task 'scalar' has no common grid"):
        samples.curves(mamlzoo.installed().make("task", "scalar"), 2)


def test_files_are_shown_as_the_points_that_they_hold():
    task = CSV(folder=CSV.example().folder, shots=5, queries=5)
    found = samples.of(task, 3)
    assert isinstance(found, samples.Scattered)
    assert found.x.shape == found.y.shape == (min(3, task.spec.test_episodes), 10)
    (axes,) = plots.gallery(found, "files").axes
    assert [line.get_linestyle() for line in axes.lines] == ["None"] * len(found.y)
    assert len({line.get_marker() for line in axes.lines}) == len(found.y)


def test_classes_of_two_inputs_are_shown_by_colour_and_mark():
    found = samples.of(Blobs(dimensions=2, ways=3), 2)
    assert isinstance(found, samples.Clouds)
    figure = plots.gallery(found, "clouds")
    assert len(figure.axes) == 2
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["class 0", "class 1", "class 2"]


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        (
            Blobs(),
            r"task 'blobs' has inputs of shape \[8\] and 5 classes; a gallery shows classes of 2 inputs or of images, 6 at most; ",
        ),
        (
            Blobs(dimensions=2, ways=9),
            "9 classes; a gallery shows classes of 2 inputs or of images, 6 at most; `mamlzoo plot adaptation RUN`",
        ),
    ],
)
def test_what_no_gallery_shows_is_refused_with_what_does(task, complaint):
    with pytest.raises(UsageError, match=complaint):
        samples.of(task, 3)
