"""Images as functions: that values are an image's at their places, and which images are in which split."""

from __future__ import annotations

import pytest
import torch

import mamlzoo
from mamlzoo import Range
from mamlzoo.errors import UsageError
from mamlzoo_tasks.image_regression import ImageRegression
from mamlzoo_tasks.letter_pictures import SIDE, STYLES, alphabets
from mamlzoo_tasks.omniglot import Omniglot


def sample(task, count=20, split="train", seed=0):
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(seed))


def image(query):
    """Images [count, 28, 28] from all their pixels."""
    return query.y.reshape(-1, SIDE, SIDE)


def looked_up(images, x):
    """Values of images at places: x₁ counts columns from the left, x₂ rows from the bottom."""
    column, row = ((x[..., axis] + 1) / 2 * (SIDE - 1) for axis in (0, 1))
    return torch.stack(
        [
            one[SIDE - 1 - down.round().long(), right.round().long()]
            for one, down, right in zip(images, row, column, strict=True)
        ]
    )


def test_values_are_those_of_the_image_at_their_places():
    support, query = sample(ImageRegression(shots=50), split="test")
    torch.testing.assert_close(looked_up(image(query), support.x), support.y[..., 0])


def test_an_upright_letter_is_upright():
    # L's ink is at the left and at the bottom.
    known = alphabets()
    letter = known.pictures.reshape(len(known.letters), len(STYLES), -1)[known.letters.index("L"), 0].float()
    x = sample(ImageRegression(), 1, "test").query.x[0]
    ink = letter[:, None] * x / letter.sum()
    assert (ink.sum(0) < -0.02).all()


def test_a_tests_images_are_letters_as_they_are_drawn():
    known = {bytes(picture.flatten().tolist()) for picture in alphabets().pictures}
    for drawn in image(sample(ImageRegression(), 5, "test").query):
        assert bytes((255 * drawn).round().to(torch.uint8).flatten().tolist()) in known


def test_training_queries_are_other_pixels_than_the_support():
    support, query = sample(ImageRegression(shots=300, queries=484))
    both = torch.cat([support.x, query.x], 1)
    assert all(len(x.unique(dim=0)) == SIDE**2 for x in both)


def test_no_queries_are_the_whole_image():
    whole, tested = sample(ImageRegression(queries=0)).query, sample(ImageRegression(), split="test").query
    assert torch.equal(whole.x, tested.x)
    assert whole.y.shape == (20, SIDE**2, 1)


def test_a_range_of_shots_gives_each_image_its_own_number():
    count = sample(ImageRegression(shots=Range(10, 200)), 500).support.mask.sum(1)
    assert (int(count.min()), int(count.max())) == (pytest.approx(10, abs=3), pytest.approx(200, abs=3))


def test_each_script_is_in_one_split():
    task, known = ImageRegression(), alphabets()
    scripts = dict(zip(known.letters, known.scripts, strict=True))
    found = {split: {scripts[name] for name in part.names} for split, part in task._parts.items()}
    assert found == {"train": {"Latin"}, "valid": {"Greek"}, "test": {"Cyrillic", "Armenian", "Georgian"}}


def test_images_are_distorted_where_that_is_wanted():
    plain, distorted = (sample(ImageRegression(distort=how, queries=0)).query.y for how in ("none", "train"))
    assert not torch.equal(plain, distorted)
    tests = [sample(ImageRegression(distort=how), split="test").query.y for how in ("none", "train")]
    assert torch.equal(*tests)


@pytest.mark.parametrize("given", [{"shots": 700}, {"shots": Range(1, 685)}, {"shots": 785, "queries": 0}])
def test_more_pixels_than_an_image_has_are_refused(given):
    with pytest.raises(UsageError, match="more than the 784 pixels of an image; lower one of them"):
        ImageRegression(**given)


def test_omniglots_images_are_taken_where_they_are():
    if not Omniglot.dataset.place.is_dir():
        pytest.skip("the data set omniglot was not added: mamlzoo data add omniglot FOLDER")
    query = sample(ImageRegression(images="omniglot"), 5, "test").query
    assert float(query.y.mean()) < 0.3
    assert float(query.y.max()) == 1


def test_a_prediction_with_uncertainty_is_scored_by_its_likelihood_too():
    result = mamlzoo.run(ImageRegression(shots=20), "mlp", "cnp", iterations=0, test_tasks=2, test_steps=0, plan="loop")
    assert {"mse", "nll"} <= set(result.evaluation.values)
