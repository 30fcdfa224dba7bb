"""Classes in several ways, as turned characters, and examples that pass functions when they are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mamlzoo
from mamlzoo import ClassEpisodes, Range
from mamlzoo.arrays.images import RandomAffine, quarter_turned

WAYS = 4
X = np.repeat(np.arange(6, dtype=np.float32), 5)[:, None] + np.arange(30, dtype=np.float32)[:, None] / 100
LABELS = np.repeat(np.arange(6), 5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def shifted(x, way):
    """The n-th way of an example is 100 n more."""
    return x + 100 * way[:, None]


def classes_and_ways(batch):
    """Of each example the class that it was made of and in which way, [episodes, n]."""
    way = (batch.x[..., 0] / 100).floor()
    return (batch.x[..., 0] - 100 * way).floor().long(), way.long()


def there_of(batch):
    """Which examples of each episode are no padding."""
    return torch.ones(batch.y.shape, dtype=torch.bool) if batch.mask is None else batch.mask


def drawn(as_classes, seed=0, **how):
    episodes = ClassEpisodes(X, LABELS).with_variants(WAYS, shifted, as_classes=as_classes)
    return episodes.draw(200, **{"ways": 3, "shots": 2, "queries": 2, "generator": generator(seed)} | how)


@settings(max_examples=20, deadline=None)
@given(st.booleans(), st.integers(0, 99), st.sampled_from([2, Range(1, 3)]))
def test_a_class_of_an_episode_is_one_class_in_one_way_in_support_and_query(as_classes, seed, shots):
    episodes = drawn(as_classes, seed, shots=shots)
    both = [], []
    for batch in episodes:
        label, way = classes_and_ways(batch)
        for y in range(3):
            of_class = (batch.y == y) & there_of(batch)
            for found, values in zip(both, (label, way), strict=True):
                least = values.masked_fill(~of_class, 1000).amin(1)
                most = values.masked_fill(~of_class, -1000).amax(1)
                assert torch.equal(least, most)
                found.append(least)
    for values in both:
        assert all(torch.equal(*pair) for pair in zip(values[:3], values[3:], strict=True))


def test_ways_as_classes_may_be_of_one_class_and_each_pair_is_as_likely_as_any_other():
    label, way = classes_and_ways(drawn(True, ways=2).support)
    pair = (label * WAYS + way)[:, ::2]
    assert (pair[:, 0] != pair[:, 1]).all()
    assert (label[:, 0] == label[:, 2]).any()
    counts = torch.bincount(pair.flatten(), minlength=6 * WAYS)
    assert (counts > 0).all()


def test_ways_at_random_never_are_of_the_same_class():
    label, way = classes_and_ways(drawn(False).support)
    assert (label[:, 0] != label[:, 2]).all()
    assert sorted(way.unique().tolist()) == [0, 1, 2, 3]


def test_as_classes_there_may_be_more_ways_than_there_are_classes_and_at_random_there_may_not():
    assert drawn(True, ways=24).support.y.amax() == 23
    with pytest.raises(mamlzoo.UsageError, match="ways = 25 classes, and there are 24"):
        drawn(True, ways=25)
    with pytest.raises(mamlzoo.UsageError, match="ways = 7 classes, and there are 6"):
        drawn(False, ways=7)


def test_without_ways_the_same_episodes_are_drawn_as_by_one_way():
    plain = ClassEpisodes(X, LABELS).draw(9, ways=3, shots=1, queries=2, generator=generator())
    one = ClassEpisodes(X, LABELS).with_variants(1, shifted).draw(9, ways=3, shots=1, queries=2, generator=generator())
    assert all(map(torch.equal, mamlzoo.leaves(plain), mamlzoo.leaves(one)))


def test_examples_pass_functions_one_after_another_and_padding_is_zeros_again():
    episodes = ClassEpisodes(X, LABELS).transformed(lambda x, generator: x + 1).transformed(lambda x, generator: 2 * x)
    plain = ClassEpisodes(X, LABELS)
    how = {"ways": 3, "shots": Range(1, 3), "queries": 2}
    one, other = (these.draw(9, generator=generator(), **how) for these in (episodes, plain))
    for batch, before in zip(one, other, strict=True):
        there = there_of(batch)
        assert torch.equal(batch.x[there], 2 * (before.x[there] + 1))
        assert (batch.x[~there] == 0).all()


def test_inputs_of_several_tensors_pass_a_function_together():
    both = {"a": X, "b": X}
    episodes = ClassEpisodes(both, LABELS).transformed(lambda x, generator: {"a": x["a"], "b": x["b"] - x["a"]})
    support = episodes.draw(3, ways=2, shots=1, queries=1, generator=generator()).support
    assert (support.x["b"] == 0).all()


# Images


def test_a_quarter_turn_takes_the_right_edge_to_the_top():
    image = torch.zeros(1, 1, 3, 3)
    image[..., :, 2] = torch.tensor([1.0, 2.0, 3.0])
    turned = quarter_turned(image, torch.tensor([1]))
    assert turned[0, 0, 0].tolist() == [1, 2, 3]


def test_four_quarter_turns_are_none():
    images = torch.rand(8, 2, 5, 5)
    quarters = torch.arange(8) % 4
    assert torch.equal(quarter_turned(quarter_turned(images, quarters), (4 - quarters) % 4), images)


def test_an_affine_map_of_no_range_changes_nothing():
    images = torch.rand(4, 1, 9, 9)
    assert torch.allclose(RandomAffine()(images, generator()), images, atol=1e-5)


@pytest.mark.parametrize("how", [{"turn": 40}, {"shear": 0.3}, {"stretch": 0.3}, {"shift": 0.2}], ids=str)
def test_a_smooth_image_is_carried_by_the_map_that_was_drawn(how):
    """A Gaussian bump at p, mapped, is centred at A·p + b: its centre of mass says where it went."""
    affine, side, place = RandomAffine(**how), 81, torch.tensor([0.2, -0.3])
    line = (torch.arange(side) + 0.5) / side * 2 - 1
    x, y = line[None, :], line[:, None]
    bump = (-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 0.005).exp().expand(6, 1, side, side)
    matrix, shift = affine.drawn(6, generator(3))
    found = affine(bump, generator(3))[:, 0]
    mass = found.sum((1, 2))
    centre = torch.stack([(found * x).sum((1, 2)) / mass, (found * y).sum((1, 2)) / mass], -1)
    assert torch.allclose(centre, (matrix @ place[:, None])[..., 0] + shift, atol=2e-3)
    assert (matrix - torch.eye(2)).abs().amax() > 0.05 or shift.abs().amax() > 0.05


def test_what_is_drawn_of_an_affine_map_stays_within_its_ranges():
    affine = RandomAffine(turn=30, shear=0.0, stretch=0.2, shift=0.1)
    matrix, shift = affine.drawn(500, generator())
    sizes = matrix.square().sum(1).sqrt()
    assert sizes.log().abs().amax() <= 0.2 + 1e-5
    assert torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]).abs().amax() <= math.radians(30) + 1e-5
    assert shift.abs().amax() <= 0.2


class Characters(mamlzoo.ImageTask):
    """Random pictures."""

    name = "characters"
    episodes = ClassEpisodes(np.random.default_rng(0).integers(0, 255, (400, 1, 8, 8), np.uint8), np.arange(400) // 20)
    split = {"train": [*range(12)], "valid": [*range(12, 16)], "test": [*range(16, 20)]}
    ways: int = mamlzoo.option(4, "classes of an episode", minimum=2)


@pytest.mark.parametrize(
    ("rotations", "most"),
    [("none", {"train": 12, "test": 4}), ("classes", {"train": 48, "test": 16}),
     ("train-classes", {"train": 48, "test": 4}), ("random", {"train": 12, "test": 4})],
)  # fmt: skip
def test_rotations_make_classes_where_the_option_says_so(rotations, most):
    def drawn(split, classes):
        ways = {"train_ways": classes} if split == "train" else {"ways": classes}
        task = Characters(rotations=rotations, **ways)
        return task.sample(1, split=split, generator=generator())

    for split, classes in most.items():
        assert drawn(split, classes).support.y.amax() == classes - 1
        with pytest.raises(mamlzoo.UsageError, match=f"and there are {classes}"):
            drawn(split, classes + 1)


@pytest.mark.parametrize(("distort", "splits"), [("none", set()), ("train", {"train"}), ("all", {"train", "test"})])
def test_images_are_distorted_where_the_option_says_so(distort, splits):
    plain, task = Characters(ways=3), Characters(ways=3, distort=distort)
    for split in ("train", "test"):
        one, other = (these.sample(2, split=split, generator=generator()).support.x for these in (plain, task))
        assert torch.equal(one, other) == (split not in splits)
