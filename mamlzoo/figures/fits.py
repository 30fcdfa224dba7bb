"""Single episodes: what is predicted on them after adaptation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mamlzoo import tables
from mamlzoo.figures import legend as legends
from mamlzoo.figures.axis_limits import Limits, finite, limits, shared
from mamlzoo.figures.embeddings import draw_embedding
from mamlzoo.figures.fields import draw_field
from mamlzoo.figures.pictures import draw_pictures
from mamlzoo.figures.style import (
    COLOURS,
    DASHES,
    HEIGHT,
    MARKS,
    QUIET,
    SMALL,
    Figure,
    broken,
    grow_for_titles,
    in_style,
    label_outer,
    panels,
    shades,
)
from mamlzoo.inference.embeddings import Embedding
from mamlzoo.inference.fields import Field
from mamlzoo.inference.fits import SHOWN, Agreement, Confusion, Fit, Panel, Regions
from mamlzoo.inference.pictures import Pictures

LABELLED = 9
"""At most so many predictions of a fit stand in the legend, spread over all of them."""
SMOOTH = 1e-3
"""Points that straight lines join with no larger error than this part of their range are drawn as a line."""
ROOM = 0.3
"""Predictions may widen the range of the points by so much at either side; those that ran away leave the axes."""
WRITTEN = 12
"""Up to so many classes the counts of a confusion are written into it."""
TINT = 0.3
"""How strong the colour of a region is."""
ON_FILL, ON_DARK = "#111111", "#fdfdfd"
"""What lies on a filled area keeps its colour on a dark page, where black itself would turn light."""
CLASS_COLOURS = [colour for colour in COLOURS if colour != "#000000"]
POINTS: Any = {"s": 16, "linewidths": 0.7}
TRUTH: Any = {"color": "#000000", "linewidth": 1.0}


@in_style
def adaptation(several: Sequence[Panel], *, legend: bool = True) -> Figure:
    """What is predicted on one episode after a few numbers of adaptation steps, in axes for each panel.

    Axes of the same kind share their limits, unless one would be almost empty. There is one legend, below all.
    """
    tall = any(isinstance(panel, Regions | Confusion | Agreement | Pictures | Field | Embedding) for panel in several)
    figure, grid = panels(len(several), height=1.1 * HEIGHT if tall else HEIGHT)
    top = max((int(panel.counts.sum(1).max()) for panel in several if isinstance(panel, Confusion)), default=0) or 1
    for axes, panel in zip(grid, several, strict=True):
        if isinstance(panel, Confusion):
            _confusion(axes, panel, top)
        else:
            DRAWN_BY[type(panel)](axes, panel)
        axes.set_title(broken(panel.title, axes))
    grow_for_titles(figure, grid)
    many = [axes for axes, panel in zip(grid, several, strict=True) if _has_many_classes(panel)]
    if many:
        figure.colorbar(many[0].collections[0], ax=many, label="query points", pad=0.02)
    for kind in (Fit, Agreement, Regions):
        alike = [(axes, panel) for axes, panel in zip(grid, several, strict=True) if isinstance(panel, kind)]
        reaches = [_reach(panel) for _, panel in alike]
        sides = [shared(side) for side in zip(*reaches, strict=True)]
        for (axes, _), x, y in zip(alike, *sides, strict=True) if alike else ():
            axes.set(xlim=x[:2], ylim=y[:2])
    if len({(axes.get_xlim(), axes.get_ylim(), axes.get_xlabel(), axes.get_ylabel()) for axes in grid}) == 1:
        label_outer(grid)
    if legend:
        legends.below(figure)
    return figure


@in_style
def key(panel: Panel) -> Figure:
    """The legend of a panel alone, for a page that shows several without."""
    figure, (axes,) = panels(1, height=0.2)
    full = adaptation([panel], legend=False)
    axes.remove()
    legends.below(figure, *full.axes[0].get_legend_handles_labels())
    return figure


def is_smooth(x: NDArray[np.floating], y: NDArray[np.floating]) -> bool:
    """Whether straight lines between the points, sorted by x, are as good as the curve itself.

    Noise, jumps and corners between few points are not: they are shown as the points that they are.
    """
    if len(x) < 10:
        return False
    a, b, c = (np.asarray(x[at : len(x) - 2 + at], dtype=np.float64) for at in range(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(c > a, (b - a) / (c - a), 0.5)
        bend = np.abs(y[1:-1] - (y[:-2] + share * (y[2:] - y[:-2])))
    # A chord of one interval misses a smooth curve by a quarter of what the chord of two does.
    return bool(bend.max() / 4 <= SMOOTH * np.ptp(y)) and bool(np.diff(x).max() <= np.ptp(x) / 5)


def _fit(axes: Axes, fit: Fit) -> None:
    if fit.truth is not None:
        axes.plot(*fit.truth.T, **TRUTH, label="true function")
    elif len(fit.query):
        x, y = fit.query[fit.query[:, 0].argsort(kind="stable")].T
        if is_smooth(x, y):
            axes.plot(x, y, **TRUTH, label="query points")
        else:
            axes.scatter(x, y, **POINTS, facecolors="none", edgecolors="#000000", zorder=2.5, label="query points")
    steps = list(fit.predictions)
    for at, (y, colour, dash, label) in enumerate(_steps_of(fit.predictions)):
        axes.plot(fit.x, finite(y), linestyle=dash, color=colour, label=label)
        if at == len(steps) - 1 and steps[at] in fit.bands:  # bands of all steps would hide each other
            low, high = map(finite, fit.bands[steps[at]])
            axes.fill_between(fit.x, low, high, color=colour, alpha=0.2, linewidth=0, label=f"{SHOWN:.0%} of targets")
    full: Any = {"s": 26, "marker": "^", "color": COLOURS[3], "edgecolors": "#000000", "linewidths": 0.5, "zorder": 3}
    axes.scatter(fit.support[:, 0], fit.support[:, 1], **full, label="support points")
    axes.set(xlabel=fit.input, ylabel=fit.output)


def _agreement(axes: Axes, panel: Agreement) -> None:
    axes.axline((0, 0), slope=1, **TRUTH, label="as it should be")
    count = len(panel.predictions)
    for at, (predicted, colour, _, label) in enumerate(_steps_of(panel.predictions)):
        last = at == count - 1
        axes.scatter(panel.target.ravel(), finite(predicted).ravel(), s=12, marker=MARKS[at % len(MARKS)], color=colour,
                     alpha=1 if last else 0.6, linewidths=0, label=label)  # fmt: skip
    many = panel.target.shape[1]
    points = f"query points, all {many} outputs" if many > 1 else "query points"
    axes.set(xlabel=f"true y of the {points}", ylabel="predicted y")


def _regions(axes: Axes, panel: Regions) -> None:
    axes.grid(False)
    x, y = panel.x[0, :, 0], panel.x[:, 0, 1]
    for at in range(panel.classes):
        lead = np.ma.masked_invalid(panel.lead(at))
        if lead.count() and lead.max() > 0:
            tint = tuple(1 - TINT * (1 - part) for part in to_rgb(CLASS_COLOURS[at]))
            axes.contourf(x, y, lead, [0, 2 * lead.max()], colors=[tint])
            if lead.min() < 0:
                axes.contour(x, y, lead, [0], colors=ON_FILL, linewidths=0.6)
    _classes(axes, panel.query, panel.query_class, panel.classes, hollow=True)
    _classes(axes, panel.support, panel.support_class, panel.classes, hollow=False)
    axes.set(xlabel="x1", ylabel="x2")


def _classes(axes: Axes, x: NDArray[np.float32], y: NDArray[np.int64], classes: int, *, hollow: bool) -> None:
    """Points by class; of the support set full ones, and of the query set hollow ones."""
    for at in range(classes):
        colour = CLASS_COLOURS[at]
        how: Any = {"s": 11, "facecolors": "none", "edgecolors": colour, "linewidths": 0.9}
        if not hollow:
            how = {"s": 26, "color": colour, "edgecolors": "#ffffff", "linewidths": 0.6, "zorder": 3}
        axes.scatter(x[y == at, 0], x[y == at, 1], marker=MARKS[at], **how, label=None if hollow else f"class {at}")
    entry: Any = {"linestyle": "", "marker": "o", "color": QUIET}
    if hollow:
        axes.add_line(Line2D([], [], **entry, markerfacecolor="none", label="query points"))
    else:
        axes.add_line(Line2D([], [], **entry, label="support points"))


def _confusion(axes: Axes, panel: Confusion, top: int) -> None:
    """Counts as shades from 0 to `top`, written into them where there is room."""
    counts, classes = panel.counts, len(panel.counts)
    axes.grid(False)
    axes.pcolormesh(counts, cmap="Blues", vmin=0, vmax=top)
    if classes <= WRITTEN:
        for (row, column), value in np.ndenumerate(counts):
            if value:
                ink = ON_DARK if value > 0.6 * top else ON_FILL
                axes.text(
                    column + 0.5, row + 0.5, str(value), ha="center", va="center", fontsize=SMALL - 0.5, color=ink
                )
    ticks = range(0, classes, -(-classes // WRITTEN))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([at + 0.5 for at in ticks], [str(at) for at in ticks])
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.set(xlabel="predicted class", ylabel="true class")


def _has_many_classes(panel: Panel) -> bool:
    return isinstance(panel, Confusion) and len(panel.counts) > WRITTEN


def _steps_of(predictions: Mapping[int, Any]) -> list[tuple[Any, str, Any, str | None]]:
    """What is predicted after each number of steps, with colour, dashes, and the label of a few."""
    count = len(predictions)
    named = set(np.linspace(0, count - 1, min(count, LABELLED)).round().astype(int).tolist())
    dashes = [DASHES[2], DASHES[1], DASHES[3]] if count <= 3 else ["-"] * count
    at_each = enumerate(zip(predictions.items(), shades(count), dashes[:count], strict=True))
    return [
        (predicted, colour, dash, f"after {tables.count(steps, 'step')}" if at in named else None)
        for at, ((steps, predicted), colour, dash) in at_each
    ]


def _reach(panel: Fit | Agreement | Regions) -> tuple[Limits, Limits]:
    """From where to where a panel's own axes would go: they hold all points, and predictions as far as that allows."""
    if isinstance(panel, Regions):
        (low_x, low_y), (high_x, high_y) = panel.x[0, 0], panel.x[-1, -1]
        return Limits(float(low_x), float(high_x)), Limits(float(low_y), float(high_y))
    predicted = np.concatenate([np.ravel(values) for values in panel.predictions.values()])
    if isinstance(panel, Agreement):
        return limits(panel.target, log=False), limits(panel.target, predicted, log=False, room=ROOM)
    points = np.concatenate([panel.support, panel.query] + ([] if panel.truth is None else [panel.truth]))
    x = np.concatenate([points[:, 0], panel.x])
    last = panel.bands.get(list(panel.predictions)[-1], ())
    return limits(x, log=False), limits(points[:, 1], np.concatenate([predicted, *last]), log=False, room=ROOM)


DRAWN_BY: dict[type[Panel], Callable[[Axes, Any], None]] = {
    Fit: _fit,
    Agreement: _agreement,
    Regions: _regions,
    Pictures: draw_pictures,
    Field: draw_field,
    Embedding: draw_embedding,
}
"""What draws a panel of each kind but one, which needs more."""
