"""Labelled images as a task: N-way K-shot classification of pictures that are turned and distorted when drawn."""

from __future__ import annotations

from abc import ABC
from typing import Literal

from mamlzoo.arrays.class_episodes import ClassEpisodes
from mamlzoo.arrays.class_task import ClassTask
from mamlzoo.arrays.images import QUARTERS, RandomAffine, quarter_turned
from mamlzoo.contracts.data import Split
from mamlzoo.contracts.options import option


class ImageTask(ClassTask, ABC):
    """N-way K-shot classification of images [channels, side, side], for a task of images to derive from.

    With `rotations` 'classes' each class turned by one, two or three quarters is a class of its own, of the same split;
    with 'train-classes' so in training alone. With 'random' a class is turned by a number of quarters that is drawn for
    each episode, the same for its support and its query. With `distort` every image that is drawn passes an affine map
    of its own, turned, sheared, stretched and shifted by what is uniform within the options' ranges.

    Reference: rotations as classes are Santoro et al., "Meta-Learning with Memory-Augmented Neural Networks", ICML
    2016, section 4.
    """

    rotations: Literal["none", "classes", "train-classes", "random"] = option(
        "none", "quarter turns: none; as classes; as classes in training; of each class at random"
    )
    distort: Literal["none", "train", "all"] = option("none", "the images that affine maps distort")
    turn: float = option(20.0, "largest turn of a distorted image, in degrees", minimum=0, maximum=180)
    shear: float = option(0.2, "largest shear", minimum=0)
    stretch: float = option(0.2, "largest stretch of either side, as a logarithm", minimum=0)
    shift: float = option(0.1, "largest shift, as a fraction of the side", minimum=0)

    def prepared(self, episodes: ClassEpisodes, split: Split) -> ClassEpisodes:
        if self.rotations != "none" and (split == "train" or self.rotations != "train-classes"):
            episodes = episodes.with_variants(QUARTERS, quarter_turned, as_classes=self.rotations != "random")
        if self.distort == "all" or (split == "train" and self.distort == "train"):
            episodes = episodes.transformed(RandomAffine(self.turn, self.shear, self.stretch, self.shift))
        return episodes
