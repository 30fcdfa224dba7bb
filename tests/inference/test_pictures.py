"""Episodes of images in figures: which images are shown, and what is said of those that were predicted wrongly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mamlzoo
from mamlzoo import Batch, Episode, Input, Spec
from mamlzoo.figures import plots
from mamlzoo.inference import fits, samples
from mamlzoo.inference.pictures import SHOWN, pictures, shows

IMAGES = np.random.default_rng(0).integers(0, 255, (160, 1, 8, 8), np.uint8)


def task(ways=3, **options):
    return mamlzoo.task_of_classes(IMAGES, np.arange(160) // 10, ways=ways, queries=4, name="pictures", **options)


def episode(y, mask=None):
    """Images that are their numbers, of classes y, as support and query set."""
    x = torch.arange(len(y), dtype=torch.float32).reshape(1, -1, 1, 1, 1)
    batch = Batch(x, torch.tensor(y)[None], None if mask is None else torch.tensor(mask)[None])
    return Episode(batch, batch)


def test_images_stand_by_their_classes_and_padding_does_not():
    found = pictures("", episode([1, 0, 1, 0], [True, True, False, True]))
    assert [images.ravel().tolist() for images in found.support] == [[1, 3], [0]]
    assert found.predicted is None


def test_predictions_stand_beside_their_images_and_no_more_than_there_is_room_for():
    y = [0, 1] * (SHOWN + 2)
    found = pictures("", episode(y), np.arange(len(y)))
    assert [images.ravel().tolist() for images in found.query] == [[*range(0, 2 * SHOWN, 2)], [*range(1, 2 * SHOWN, 2)]]
    assert [chosen.tolist() for chosen in found.predicted] == [[*range(0, 2 * SHOWN, 2)], [*range(1, 2 * SHOWN, 2)]]


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        (Spec((1, 28, 28), 5, "classification"), True),
        (Spec((3, 84, 84), 10, "classification"), True),
        (Spec((2, 28, 28), 5, "classification"), False),
        (Spec((1, 28, 28), 11, "classification"), False),
        (Spec((28,), 5, "classification"), False),
        (Spec((1, 28, 28), 1), False),
        (Spec(inputs=Input((1, 8, 8), "integer"), output_size=5, kind="classification"), True),
    ],
)
def test_few_classes_of_grey_or_coloured_images_are_shown(spec, shown):
    assert shows(spec) is shown


def test_a_gallery_of_a_task_of_images_draws_every_image():
    found = samples.of(task(), 2)
    assert samples.number_of(found) == 2
    figure = plots.gallery(found, "two")
    assert [len(axes.images) for axes in figure.axes] == [3 * (1 + 4)] * 2


def test_a_run_on_images_shows_each_wrong_image_with_the_class_that_was_predicted():
    result = mamlzoo.run(task(), "mlp", "protonet", iterations=0, test_tasks=2, plan="loop")
    panel, *_ = fits.panels(result)
    figure = plots.adaptation([panel])
    wrong = [int(found) for row, several in enumerate(panel.predicted) for found in several if found != row]
    assert [int(text.get_text()) for text in figure.axes[0].texts] == wrong
    assert len(figure.axes[0].patches) == 3 * 4


def test_a_prediction_that_is_not_finite_is_a_question():
    found = pictures("", episode([0, 1]), np.array([-1, 1]))
    assert [text.get_text() for text in plots.adaptation([found]).axes[0].texts] == ["?"]
