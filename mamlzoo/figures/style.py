"""How figures look: sizes for a column of a paper, colours, dashes and marks that are told apart without colour too."""

from __future__ import annotations

import functools
import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, ParamSpec, TypeVar

import matplotlib
import matplotlib.figure
import matplotlib.text
import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.patches import PathPatch
from matplotlib.transforms import Affine2D

from mamlzoo.tables import plain

P = ParamSpec("P")
T = TypeVar("T")

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9"]
"""Okabe and Ito's palette, which colour-blind readers can tell apart; those that are faint on white come last."""
DASHES: list[Any] = ["-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5))]
"""As many as differ at a glance; with the marks, whose number is prime to theirs, 28 lines differ in grey."""
MARKS = "osD^vPX"
QUIET = "#767676"
"""For what is said beside the data; it can be read on white and on black."""
COLUMN, PAGE = 3.35, 7.0
"""Inches: the width of a column of a paper (85 mm), and of its page."""
HEIGHT = 2.3
"""Inches of one pair of axes."""
SMALL = 7.0
"""Points, of legends and of what is written into a figure."""
DPI = 300
STYLE: Any = {
    "axes.grid": True,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "font.size": 8,
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "legend.columnspacing": 1.2,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,  # fonts as publishers ask for them
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "mamlzoo",  # the same figure gives the same bytes
    "text.parse_math": False,  # names may hold a dollar sign
    "xtick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.labelsize": SMALL,
    "ytick.major.width": 0.6,
}
KEPT = frozenset({"backend", "backend_fallback", "interactive", "toolbar", "timezone"})
"""Settings that are not about how figures look."""


class Look(NamedTuple):
    """What tells a line from others: colour, dashes and marks."""

    colour: str
    dash: Any
    mark: str


class Figure(matplotlib.figure.Figure):
    """A figure that shows itself in a notebook."""

    def savefig(self, *args: Any, **settings: Any) -> None:
        for text in self.findobj(matplotlib.text.Text):  # a name may hold what no font and no SVG has
            text.set_text(plain(text.get_text()))
        super().savefig(*args, **settings)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with styled():
            self.savefig(buffer, format="png", dpi=DPI * 2 // 3)
        return buffer.getvalue()


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib as figures here want it, whatever the user's own settings are."""
    with matplotlib._api.suppress_matplotlib_deprecation_warning():
        own = {name: value for name, value in matplotlib.rcParamsDefault.items() if name not in KEPT}
        with rc_context(own | STYLE):
            yield


def in_style(function: Callable[P, T]) -> Callable[P, T]:
    """A function that draws in this style."""

    @functools.wraps(function)
    def drawing(*args: P.args, **kwargs: P.kwargs) -> T:
        with styled():
            return function(*args, **kwargs)

    return drawing


def looks(count: int) -> list[Look]:
    """A look of its own for each of several runs."""
    colours = COLOURS
    if count > len(COLOURS):
        colours = [to_hex(colour) for colour in colormaps["turbo"](np.linspace(0.1, 0.9, count))]
    return [Look(colours[at], DASHES[at % len(DASHES)], MARKS[at % len(MARKS)]) for at in range(count)]


def shades(count: int) -> list[str]:
    """Colours for a sequence of adaptation steps: a few that differ, or many that darken."""
    return COLOURS[:count] if count <= 3 else [to_hex(c) for c in colormaps["viridis_r"](np.linspace(0.1, 0.95, count))]


def panels(count: int, *, height: float = HEIGHT) -> tuple[Figure, list[Axes]]:
    """A figure of so many pairs of axes, side by side and below each other: a column of a paper wide, or its page."""
    columns = _columns(count)
    rows = -(-count // columns)
    figure = Figure(figsize=(COLUMN if count == 1 else PAGE, height * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for empty in grid[count:]:
        empty.remove()
    return figure, grid[:count]


def _columns(count: int) -> int:
    return count if count <= 3 else 2 if count == 4 else 3


def label_outer(several: Sequence[Axes]) -> None:
    """Of panels with the same axes, name and number only those that have no other below or to the left."""
    columns = _columns(len(several))
    for at, axes in enumerate(several):
        if at + columns < len(several):
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
        if at % columns:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)


def broken(title: str, axes: Axes) -> str:
    """A title in lines that are no longer than the axes are wide."""
    letters = int(72 * axes.bbox.width / axes.figure.dpi / (0.6 * 8))
    return "\n".join(textwrap.fill(line, letters) for line in title.splitlines())


def grow_for_titles(figure: Figure, several: Sequence[Axes]) -> None:
    """Make a figure as much taller as its rows have lines of titles beyond the first."""
    columns, lines = _columns(len(several)), [axes.get_title().count("\n") for axes in several]
    width, height = figure.get_size_inches()
    extra = sum(max(lines[at : at + columns]) for at in range(0, len(lines), columns))
    figure.set_size_inches(width, height + extra * 1.25 * 8 / 72)


@in_style
def swatch(look: Look) -> Figure:
    """A piece of line as a legend shows it, 0.4 × 0.12 inches; of paths alone, so that a page may hold many."""
    figure = Figure(figsize=(0.4, 0.12))
    figure.add_artist(Line2D([0.02, 0.98], [0.5, 0.5], color=look.colour, linestyle=look.dash))
    mark = MarkerStyle(look.mark)
    to_inches = mark.get_transform() + Affine2D().scale(0.055).translate(0.2, 0.06) + figure.dpi_scale_trans
    figure.add_artist(PathPatch(mark.get_path(), color=look.colour, transform=to_inches, linewidth=0))
    return figure
