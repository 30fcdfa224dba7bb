"""The letters of the fonts that come with matplotlib, as small pictures."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import torch
from matplotlib.ft2font import FT2Font
from torch import Tensor
from torch.nn import functional

import mamlzoo

SIDE, FINE = 28, 4
"""Pixels of a picture, and how many times finer it is drawn before they are averaged."""
EM = 18
"""Pixels of the fonts' em, in which a capital is about 13 high."""
ROOM = 26
"""Pixels that a letter may take; larger ones are drawn smaller."""
STYLES = tuple(
    f"DejaVu{family}"
    for family in (
        *("Sans", "Sans-Bold", "Sans-Oblique", "Sans-BoldOblique"),
        *("SansMono", "SansMono-Bold", "SansMono-Oblique", "SansMono-BoldOblique"),
        *("Serif", "Serif-Bold", "Serif-Italic", "Serif-BoldItalic"),
    )
)
"""The files of the fonts, each of which draws every letter once."""
SCRIPTS = {"LATIN": "Latin", "MODIFIER": "Latin", "GREEK": "Greek", "CYRILLIC": "Cyrillic", "ARMENIAN": "Armenian",
           "GEORGIAN": "Georgian"}  # fmt: skip
"""Scripts by the first word of a letter's Unicode name; small raised letters are Latin ones."""
FONTS = f"matplotlib {matplotlib.__version__}"
"""Whose fonts, and whose way of drawing them."""


class Alphabets(NamedTuple):
    """Letters in all styles.

    Attributes:
        pictures: [letters * styles, 1, 28, 28] of uint8, ink 255 on 0; a letter's lie together.
        letters: each once, in the order of Unicode.
        scripts: of each letter.
    """

    pictures: Tensor
    letters: list[str]
    scripts: list[str]


@functools.cache
def alphabets() -> Alphabets:
    """Those of five scripts that all styles have and that look like no other, drawn once and kept."""
    fonts = [FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{style}.ttf")) for style in STYLES]
    common = set.intersection(*(set(font.get_charmap()) for font in fonts))
    known = [chr(code) for code in sorted(common) if _script(chr(code)) is not None]

    def drawn() -> Iterator[Tensor]:
        return (pictures(fonts, letter) for letter in mamlzoo.reading(known, "draw letters"))

    key = f"letters of {FONTS} {EM} {ROOM} {''.join(known)}"
    found = mamlzoo.kept(key, (len(known), len(STYLES), 1, SIDE, SIDE), drawn)
    first = _first_of_its_looks(found)
    own = [letter for letter, is_first in zip(known, first.tolist(), strict=True) if is_first]
    scripts = [script for letter in own if (script := _script(letter)) is not None]
    return Alphabets(found[first].flatten(0, 1), own, scripts)


def pictures(fonts: Sequence[FT2Font], letter: str) -> Tensor:
    """A letter by each font, in the middle: [fonts, 1, 28, 28] of uint8."""
    canvas = torch.zeros(len(fonts), SIDE * FINE, SIDE * FINE, dtype=torch.uint8)
    for at, font in enumerate(fonts):
        image = _bitmap(font, letter, EM)
        largest = max(image.shape)
        if largest > ROOM * FINE:
            image = _bitmap(font, letter, EM * ROOM * FINE / (largest + FINE))
        high, wide = image.shape
        top, left = (SIDE * FINE - high) // 2, (SIDE * FINE - wide) // 2
        canvas[at, top : top + high, left : left + wide] = image
    return functional.avg_pool2d(canvas[:, None].float(), FINE).round().to(torch.uint8)


def _bitmap(font: FT2Font, letter: str, em: float) -> Tensor:
    """The ink of a letter, cut out."""
    font.set_size(em * FINE, 72)  # at 72 points an inch a point is a pixel
    font.set_text(letter, 0.0)
    font.draw_glyphs_to_bitmap(antialiased=True)
    image = font.get_image()
    rows, columns = ((image > 0).sum(axis).nonzero()[0] for axis in (1, 0))
    return torch.from_numpy(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy())


def _script(letter: str) -> str | None:
    if not unicodedata.category(letter).startswith("L"):
        return None
    return SCRIPTS.get(unicodedata.name(letter, "").partition(" ")[0])


def _first_of_its_looks(pictures: Tensor) -> Tensor:
    """Which letters [letters] look in no style like one before, as Α does like A: [letters, styles, …]."""
    first = torch.ones(len(pictures), dtype=torch.bool)
    for style in range(pictures.shape[1]):
        seen: set[bytes] = set()
        for at, image in enumerate(pictures[:, style]):
            look = image.numpy().tobytes()
            first[at] &= look not in seen
            seen.add(look)
    return first
