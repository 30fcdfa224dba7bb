"""Letters of five scripts in twelve styles: images without a download."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal

import mamlzoo
from mamlzoo import ClassEpisodes, Split, option
from mamlzoo_tasks.letter_pictures import STYLES, Alphabets, alphabets

SCRIPTS: dict[Split, tuple[str, ...]] = {
    "train": ("Latin",),
    "valid": ("Greek",),
    "test": ("Cyrillic", "Armenian", "Georgian"),
}
"""Whose letters each split has."""


class Letters(mamlzoo.ImageTask):
    """Letters of five scripts, each in twelve styles: N-way K-shot, without a download.

    About 1,350 letters of the DejaVu fonts that come with matplotlib, at 28 × 28: Sans, Mono and Serif, upright and
    oblique, regular and bold. Letters that look like one before in any style, as Α like A, are left out. They are drawn
    once, in seconds, and kept in mamlzoo's cache; how many they are, and their last shades, depend on matplotlib's
    version. An input is [1, 28, 28] of 0 to 1, ink 1 on 0.

    With `splits` scripts, Latin letters are to train, Greek ones to validate, and Cyrillic, Armenian and Georgian ones
    to test on; with random all are divided by `valid`, `test` and split-seed. Every image that is drawn is distorted by
    an affine map of its own, so that comparing pixels does not do.

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

    @functools.cached_property
    def _letters(self) -> Alphabets:
        return alphabets()
