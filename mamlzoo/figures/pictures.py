"""Images of an episode: a row a class, those to adapt on left of those to be judged."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mamlzoo.figures.style import COLOURS, SMALL
from mamlzoo.inference.pictures import Pictures

RIGHT, WRONG = COLOURS[2], COLOURS[1]
GAP = 0.16
"""Between images, in images."""
APART = 0.6
"""Between the support and the query set."""


def draw_pictures(axes: Axes, panel: Pictures) -> None:
    """Into axes whose unit is an image; where something is predicted, wrong ones have the class that was."""
    axes.grid(False)
    wide = max(len(images) for images in panel.support)
    begin = wide * (1 + GAP) + APART
    for row, (support, query) in enumerate(zip(panel.support, panel.query, strict=True)):
        for images, left in ((support, 0.0), (query, begin)):
            for at, image in enumerate(images):
                _image(axes, image, left + at * (1 + GAP), row * (1 + GAP))
        predicted = [] if panel.predicted is None else panel.predicted[row].tolist()
        for at, found in enumerate(predicted):
            _frame(axes, begin + at * (1 + GAP), row * (1 + GAP), None if found == row else found)
    rows, columns = len(panel.support), max(len(images) for images in panel.query)
    end = begin + columns * (1 + GAP) - GAP
    axes.set(xlim=(-GAP, end + GAP), ylim=(rows * (1 + GAP), -GAP), aspect="equal", ylabel="class")
    axes.set_xticks([(wide * (1 + GAP) - GAP) / 2, (begin + end) / 2], ["support", "query"])
    axes.set_yticks([row * (1 + GAP) + 0.5 for row in range(rows)], [str(row) for row in range(rows)])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if panel.predicted is not None:
        axes.add_line(Line2D([], [], color=RIGHT, linewidth=1.5, label="as it should be"))
        axes.add_line(Line2D([], [], color=WRONG, linewidth=1.5, label="wrong, and the class predicted"))


def _image(axes: Axes, image: NDArray[np.float32], left: float, top: float) -> None:
    shades = np.clip(np.moveaxis(image, 0, -1), 0, 1)
    how: Any = {"extent": (left, left + 1, top + 1, top), "interpolation": "nearest", "vmin": 0, "vmax": 1}
    axes.imshow(shades[..., 0] if shades.shape[-1] == 1 else shades, cmap="gray", **how)


def _frame(axes: Axes, left: float, top: float, found: int | None) -> None:
    """Around an image; with the class that it is not, where one was found."""
    colour = RIGHT if found is None else WRONG
    axes.add_patch(Rectangle((left, top), 1, 1, fill=False, edgecolor=colour, linewidth=1.2, clip_on=False))
    if found is not None:
        box: Any = {"facecolor": WRONG, "edgecolor": "none", "pad": 0.6}
        text = str(found) if found >= 0 else "?"
        axes.text(
            left + 0.96, top + 0.95, text, ha="right", va="bottom", fontsize=SMALL - 1.5, color="#ffffff", bbox=box
        )
