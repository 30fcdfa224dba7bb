"""Functions of the plane as images: what is given of one, what is predicted and how surely, and what it is."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mamlzoo import tables
from mamlzoo.figures.style import SMALL
from mamlzoo.inference.fields import Field

UNKNOWN = "#a6c8e0"
"""Where nothing is given."""
UNCERTAIN = "#d9d9d9"
"""In the legend, for uncertainty."""
GAP = 0.08
"""Between images, in images."""
WORDS = 0.2
"""Above an image, in images, for what it is."""


def draw_field(axes: Axes, panel: Field) -> None:
    """Into axes whose unit is an image. What is predicted has the shades of what is true, cut off at their ends."""
    low, high = float(panel.truth.min()), float(panel.truth.max())
    images = {"given": _shades(panel.given, low, high)}
    images |= {name: _shades(image, low, high) for name, image in panel.predictions.items()}
    if panel.spread is not None:
        most = float(np.nanmax(panel.spread, initial=0))
        images[f"± to {tables.number(most, 2)}"] = _shades(panel.spread, 0, most)
    images["true"] = _shades(panel.truth, low, high)

    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    tall = panel.truth.shape[0] / panel.truth.shape[1]
    for at, (name, image) in enumerate(images.items()):
        left, top = at % columns * (1 + GAP), at // columns * (tall + WORDS)
        axes.imshow(image, extent=(left, left + 1, top + tall, top), interpolation="nearest")
        axes.text(left + 0.5, top - 0.03, name, ha="center", va="bottom", fontsize=SMALL)
    axes.set(xlim=(0, columns * (1 + GAP) - GAP), ylim=(rows * (tall + WORDS) - WORDS, -WORDS), aspect="equal")
    axes.grid(False)
    axes.set_axis_off()
    axes.add_line(Line2D([], [], linestyle="", marker="s", color=UNKNOWN, label="not given"))
    if panel.spread is not None:
        how = "±: half of the 68% interval, most in white"
        axes.add_line(Line2D([], [], linestyle="", marker="s", color=UNCERTAIN, label=how))


def _shades(image: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Red, green and blue [height, width, 3] of values between two ends; what is not finite is `UNKNOWN`."""
    shades = np.clip((image - low) / ((high - low) or 1), 0, 1)
    shades = np.broadcast_to(shades, (*image.shape[:2], 3))
    known = np.isfinite(image).all(-1, keepdims=True)
    found: NDArray[np.float32] = np.where(known, shades, to_rgb(UNKNOWN)).astype(np.float32)
    return found
