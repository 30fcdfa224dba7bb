"""The examples of an episode in the plane in which their embeddings vary most."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mamlzoo.figures.style import QUIET, looks
from mamlzoo.inference.embeddings import Embedding

NAMED = 10
"""Up to so many classes stand in the legend."""
INK = "#000000"


def draw_embedding(axes: Axes, panel: Embedding) -> None:
    """Support examples large, query ones small, of each class in a look of its own; wrong ones have a ring."""
    classes = len(panel.means)
    for at, look in enumerate(looks(classes)):
        own: Any = {"color": look.colour, "marker": look.mark, "edgecolors": "#ffffff"}
        _scatter(axes, panel.query[panel.query_class == at], s=12, linewidths=0.3, **own)
        _scatter(axes, panel.support[panel.support_class == at], s=40, linewidths=0.6, zorder=3, **own)
        mean: Any = own | {"marker": "*", "edgecolors": INK}
        _scatter(axes, panel.means[at : at + 1], s=90, linewidths=0.6, zorder=4, **mean)
        if classes <= NAMED:
            axes.add_line(Line2D([], [], linestyle="", color=look.colour, marker=look.mark, label=f"class {at}"))
    _scatter(axes, panel.query[panel.wrong], s=34, facecolors="none", edgecolors=INK, linewidths=0.7)
    kinds: dict[str, Any] = {
        "support": {"marker": "o", "markersize": 6, "color": QUIET},
        "query": {"marker": "o", "markersize": 3, "color": QUIET},
        "mean of a class's support": {"marker": "*", "markersize": 8, "color": QUIET, "markeredgecolor": INK},
        "taken for another class": {"marker": "o", "markersize": 5.5, "markerfacecolor": "none", "color": INK},
    }
    for label, how in kinds.items():
        axes.add_line(Line2D([], [], linestyle="", markeredgewidth=0.7, label=label, **how))
    first, second = panel.shares
    axes.set(xlabel=f"1st component, {first:.0%} of the variance", ylabel=f"2nd, {second:.0%}", aspect="equal")
    axes.set_adjustable("datalim")


def _scatter(axes: Axes, places: NDArray[np.float32], **how: Any) -> None:
    axes.scatter(places[:, 0], places[:, 1], **how)
