"""Functions of the plane in figures: which are images, and what of them is shown where."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mamlzoo
from mamlzoo import Batch, Episode, Gaussian, Input, Spec
from mamlzoo.contracts.readings import Reading
from mamlzoo.figures import plots
from mamlzoo.figures.fields import UNKNOWN
from mamlzoo.figures.figure_files import FEW
from mamlzoo.inference import fits, samples
from mamlzoo.inference.fields import Field, field_of, grid_of
from mamlzoo_tasks.regression import RegressionTask

PLANE = Spec((2,), 1)
PLACES = torch.cartesian_prod(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([-1.0, 1.0]))[None]
"""Three columns of two rows, [1, 6, 2]."""
VALUES = 10 * PLACES[..., :1] + PLACES[..., 1:]
PICTURE = [[1, 6, 11], [-1, 4, 9]]
"""The values as they are to be seen: x₁ to the right, x₂ upwards."""


def episode():
    support = Batch(PLACES[:, :1], VALUES[:, :1], None)
    return Episode(support, Batch(PLACES, VALUES))


def seen(spread=None, **points):
    episode_, grid = episode(), grid_of(PLANE, episode().query)
    variance = None if spread is None else torch.full((6, 1), spread**2)
    readings = {
        int(step[1:]): Reading(value, None if variance is None else Gaussian(value, variance))
        for step, value in points.items()
    }
    return field_of("", episode_, grid, readings)


def test_a_grid_in_any_order_is_an_image_with_the_second_input_upwards():
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    grid = grid_of(PLANE, Batch(PLACES[:, order], VALUES[:, order]))
    assert grid.image(PLACES[0, order], VALUES[0, order])[..., 0].tolist() == PICTURE


def test_what_is_not_given_is_not_known():
    given = seen(_0=VALUES[0]).given[..., 0]
    assert given[1, 0] == -1
    assert np.isnan(given).sum() == 5


@pytest.mark.parametrize(
    ("spec", "places"),
    [
        (PLANE, PLACES[:, :5]),
        (PLANE, torch.cat([PLACES, PLACES[:, :1]], 1)),
        (PLANE, PLACES**2 * PLACES.sign()),
        (PLANE, PLACES[:, ::2]),
        (Spec((2,), 2), PLACES),
        (Spec((2,), 3, "classification"), PLACES),
        (Spec((3,), 1), PLACES),
        (Spec(inputs=Input((2,), "integer"), output_size=1), PLACES),
    ],
    ids=["a hole", "twice", "uneven", "a line", "two outputs", "classes", "three inputs", "whole numbers"],
)
def test_what_is_no_full_even_grid_of_shades_or_colours_is_no_image(spec, places):
    assert grid_of(spec, Batch(places, torch.zeros(1, places.shape[1], 1))) is None


def test_each_number_of_steps_has_its_prediction_and_only_one_where_they_are_the_same():
    moving = seen(_0=VALUES[0], _1=VALUES[0] + 1)
    assert list(moving.predictions) == ["after 0 steps", "after 1 step"]
    assert moving.predictions["after 1 step"][..., 0].tolist() == (np.array(PICTURE) + 1).tolist()
    assert list(seen(_0=VALUES[0], _10=VALUES[0]).predictions) == ["predicted"]


def test_of_a_gaussian_the_standard_deviation_is_shown():
    np.testing.assert_allclose(seen(spread=0.25, _0=VALUES[0]).spread, 0.25, rtol=1e-4)
    assert seen(_0=VALUES[0]).spread is None


def test_an_image_shows_what_is_given_predicted_and_true_in_the_same_shades():
    figure = plots.adaptation([seen(spread=0.5, _0=2 * VALUES[0])])
    (axes,) = figure.axes
    given, predicted, spread, true = (image.get_array() for image in axes.images)
    assert [text.get_text() for text in axes.texts] == ["given", "after 0 steps", "± to 0.50", "true"]
    shades = (np.array(PICTURE) + 1) / 12
    np.testing.assert_allclose(true[..., 0], shades, atol=1e-6)
    np.testing.assert_allclose(predicted[..., 0], np.clip((2 * np.array(PICTURE) + 1) / 12, 0, 1), atol=1e-6)
    np.testing.assert_allclose(spread, 1, atol=1e-3)
    unknown = np.array([int(UNKNOWN[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    np.testing.assert_allclose(given[0, 0], unknown, atol=1e-6)


def test_colours_are_colours():
    values = torch.rand(1, 6, 3)
    grid = grid_of(Spec((2,), 3), Batch(PLACES, values))
    (axes,) = plots.adaptation([field_of("", Episode(Batch(PLACES, values), Batch(PLACES, values)), grid)]).axes
    _, true = (image.get_array() for image in axes.images)
    np.testing.assert_allclose(true.min(), 0, atol=1e-6)
    np.testing.assert_allclose(true.max(), 1, atol=1e-6)


def test_a_prediction_that_is_not_finite_leaves_a_hole():
    found = VALUES[0].clone()
    found[0] = torch.nan
    (axes,) = plots.adaptation([seen(_0=found)]).axes
    assert tuple(axes.images[1].get_array()[1, 0]) == tuple(axes.images[0].get_array()[0, 0])


class Slopes(RegressionTask):
    """Planes over six places, of which two are given."""

    name = "slopes"
    spec = PLANE

    def sample(self, count, *, split, generator):
        x = PLACES.expand(count, -1, -1)
        y = x @ torch.randn(count, 2, 1, generator=generator)
        return Episode(Batch(x[:, 2:4], y[:, 2:4]), Batch(x, y))


@pytest.fixture(scope="module")
def result():
    return mamlzoo.run(Slopes(), "mlp", "maml", iterations=0, test_tasks=4, test_steps=1, plan="loop")


def test_a_run_on_images_shows_the_predictions_that_were_measured(result):
    (panel,) = fits.panels(result, steps=[1], episode=2)
    assert isinstance(panel, Field)
    mse = ((panel.predictions["after 1 step"] - panel.truth) ** 2).mean()
    assert mse == pytest.approx(result.evaluation.values["mse"][0, 2, 1], rel=1e-4)
    assert (~np.isnan(panel.given)).sum() == 2


def test_a_run_shows_a_few_of_its_images(result):
    figure = result.plot("adaptation")
    assert [axes.get_title() for axes in figure.axes] == [f"test task {at}" for at in range(FEW)]


def test_a_gallery_shows_images_and_what_is_given_of_them():
    found = samples.of(Slopes(), 2)
    figure = plots.gallery(found, "two")
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [["given", "true"]] * 2
