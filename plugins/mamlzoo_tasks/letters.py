"""Letters of five scripts in twelve styles: images without a download."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from torch import Tensor
from torch.nn import functional

import mamlzoo
from mamlzoo import ClassEpisodes, Points, Split, option
from mamlzoo_tasks import own_images
from mamlzoo_tasks.image_files import Shape
from mamlzoo_tasks.letter_pictures import SIDE, STYLES, Alphabets, alphabets

SCRIPTS: dict[Split, tuple[str, ...]] = {
    "train": ("Latin",),
    "valid": ("Greek",),
    "test": ("Cyrillic", "Armenian", "Georgian"),
}
"""Whose letters each split has."""
SEEN = Shape(size=8 * SIDE, colour="grey", fit="crop")
"""How fine an image of one's own letter is looked at, before its ink is cut out."""
TALL = 14
"""Pixels of a letter's larger side, as most in the task have it."""


class Letters(mamlzoo.ImageTask):
    """Letters of five scripts, each in twelve styles: N-way K-shot, without a download.

    About 1,350 letters of the DejaVu fonts that come with matplotlib, at 28 × 28: Sans, Mono and Serif, upright and
    oblique, regular and bold. Letters that look like one before in any style, as Α like A, are left out. They are drawn
    once, in seconds, and kept in mamlzoo's cache; how many they are, and their last shades, depend on matplotlib's
    version. An input is [1, 28, 28] of 0 to 1, ink 1 on 0.

    With `splits` scripts, Latin letters are to train, Greek ones to validate, and Cyrillic, Armenian and Georgian ones
    to test on; with random all are divided by `valid`, `test` and split-seed. Every image that is drawn is distorted by
    an affine map of its own, so that comparing pixels does not do.

    `mamlzoo adapt RUN --support FOLDER --query FOLDER` takes images of your own letters: a folder with a folder for
    each of `ways` classes, as task images does, and as query an image or a folder of them, too. Dark ink on light is
    turned, and the ink is put in the middle, as large as a capital is in the task's own. Or a CSV file with x1 to x784
    and y.

    Loss: cross-entropy. Metrics: accuracy, and the loss.

    The fonts' licence is Bitstream Vera's and public domain; mamlzoo contains none of them.
    """

    name = "letters"
    distort: Literal["none", "train", "all"] = option("all", "the images that affine maps distort")
    queries: int = option(3, "query examples a class", minimum=1)
    splits: Literal["scripts", "random"] = option("scripts", "train, validate and test on scripts of their own, or any")

    @functools.cached_property
    def episodes(self) -> ClassEpisodes:
        return ClassEpisodes(self._letters.pictures, [letter for letter in self._letters.letters for _ in STYLES])

    @property
    def split(self) -> Mapping[Split, list[str]] | None:
        if self.splits == "random":
            return None
        named = [*zip(self._letters.letters, self._letters.scripts, strict=True)]
        return {split: [letter for letter, script in named if script in scripts] for split, scripts in SCRIPTS.items()}

    def read(self, path: Path, *, support: Points | None = None) -> Points:
        if not own_images.are_at(path):
            return super().read(path, support=support)
        return own_images.read(path, self.ways, SEEN, support=support, look=in_the_middle)

    @functools.cached_property
    def _letters(self) -> Alphabets:
        return alphabets()


def in_the_middle(image: Tensor) -> Tensor:
    """A picture of one letter, [1, side, side], as the task's own are: ink 1 on 0, [1, 28, 28], TALL high or wide."""
    ink = own_images.as_ink(image)
    there = ink[0] > ink.max() / 2
    if not there.any():
        return ink.new_zeros(1, SIDE, SIDE)
    (top, bottom), (left, right) = (there.any(axis).nonzero()[[0, -1], 0] for axis in (1, 0))
    cut = ink[:, top : bottom + 1, left : right + 1]
    height, width = (max(1, round(TALL * size / max(cut.shape))) for size in cut.shape[1:])
    small = functional.interpolate(cut[None], (height, width), mode="bilinear", antialias=True)[0]
    above, before = (SIDE - height) // 2, (SIDE - width) // 2
    return functional.pad(small, (before, SIDE - width - before, above, SIDE - height - above))
