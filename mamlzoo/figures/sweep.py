"""Figures of a sweep: lines over one axis of numbers, points over one of words, heat maps over two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from mamlzoo import figures  # noqa: F401  (before matplotlib, which it imports whatever backend is asked for)

# isort: split
import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mamlzoo.errors import UsageError
from mamlzoo.figures import legend
from mamlzoo.figures.axis_limits import finite, of_errors, plain_ticks, set_y, without_outliers
from mamlzoo.figures.style import COLOURS, PAGE, Figure, in_style, looks, panels
from mamlzoo.sweeps.axes import Axis, text
from mamlzoo.sweeps.cells import Cell, Scores
from mamlzoo.sweeps.sweep import Sweep
from mamlzoo.tables import number

Panel = Literal["validation", "test"]
PANELS: tuple[Panel, Panel] = ("validation", "test")
LABELLED = 12
"""Up to so many values of an axis each has its tick."""
WRITTEN = 30
"""Up to so many rows and columns a heat map's cells have their values written into them."""
COLUMN, ROW = 0.62, 0.38
"""Inches of a heat map's cell."""
ASIDE = 0.08
"""How far validation stands left of a word, and test right of it."""
LOG_RATIO = 4
"""Colours are logarithmic where values differ by more than this factor: the good ones are to be told apart."""
BEYOND, BEYOND_MARK = "#8b1a1a", "▲"
"""Colour and mark of a cell whose value lies beyond the scale."""
FRAME = "best"
"""What the best cell's frame is called in the figure."""

Place = tuple[int, int]
"""A cell of a heat map: row, column."""


@in_style
def figure(sweep: Sweep) -> Figure:
    """The validation and the test metric of the finished cells after the last adaptation step.

    With one axis, lines with 95% bands, or points with error bars where its values are words. With more, two heat maps
    over the first two axes of numbers (or of words, where there are no two), at the best cell's values of the others.
    Only cells of the first one's metric are drawn, since no scale can show two.

    Raises:
        UsageError: no cell is finished.
    """
    if not sweep.finished:
        raise UsageError("no cell of the sweep is finished, so there is nothing to draw")
    several = [replace(axis, values=tuple(sorted(axis.values))) if axis.is_numeric else axis for axis in sweep.axes]
    if len(several) == 1:
        return _over_one(sweep, several[0])
    x, y, *others = sorted(several, key=lambda axis: not axis.is_numeric)
    return _over_two(sweep, x, y, others)


def _over_one(sweep: Sweep, axis: Axis) -> Figure:
    """Lines over numbers, points over words; a cross where there is nothing to draw."""
    numeric, metric = axis.is_numeric, sweep.finished[0][1].metric
    cells = {
        cell.values[axis.key]: cell
        for cell in sweep.cells
        if cell.state != "waiting" and (cell.scores is None or cell.scores.metric == metric)
    }
    values = [value for value in axis.values if value in cells]
    x = np.array(values if numeric else range(len(values)), dtype=np.float64)
    figure, (axes,) = panels(1)
    if numeric and axis.is_geometric:
        axes.set_xscale("log")
    estimates = {panel: [_estimate(cells[value].scores, panel) for value in values] for panel in PANELS}
    means = {panel: finite([mean for mean, _ in estimates[panel]]) for panel in PANELS}
    low, high = _range(sweep, means)
    edges = []
    for panel, look, aside in zip(PANELS, looks(2), (-ASIDE, ASIDE), strict=True):
        mean, half = means[panel], np.nan_to_num(finite([half for _, half in estimates[panel]]))
        inside = (mean >= low) & (mean <= high)
        if numeric:
            axes.plot(x, mean, color=look.colour, marker=look.mark, linestyle=look.dash, label=panel)
            axes.fill_between(x, mean - half, mean + half, color=look.colour, alpha=0.2, linewidth=0)
        else:
            axes.errorbar(x + aside, mean, half, fmt=look.mark, color=look.colour, capsize=3, label=panel)
        edges += [(mean - half)[inside], (mean + half)[inside]]
    best = [at for at, value in enumerate(values) if _is_best(sweep, {axis.key: value})]
    if best:
        ring: Any = {
            "s": 90,
            "facecolors": "none",
            "edgecolors": "#000000",
            "linewidths": 1.2,
            "zorder": 3,
            "clip_on": False,
        }
        where = x[best] - (0 if numeric else ASIDE)
        axes.scatter(where, means["validation"][best], label=_best_of(sweep), **ring)
    gaps = x[np.isnan(means["validation"]) | np.isnan(means["test"])]
    if len(gaps):
        bottom = np.full(len(gaps), 0.03)
        axes.plot(gaps, bottom, "kx", markersize=5, transform=axes.get_xaxis_transform(), label="failed or diverged")
    for far, mark, at in (
        ([means[panel] > high for panel in PANELS], "^", 0.97),
        ([means[panel] < low for panel in PANELS], "v", 0.1),
    ):
        where = x[np.logical_or(*far)]
        if len(where):
            place: Any = {"transform": axes.get_xaxis_transform(), "clip_on": False}
            axes.plot(where, np.full(len(where), at), "k" + mark, markersize=5, **place, label="beyond the axis")
    if len(values) <= LABELLED or not numeric:
        axes.set_xticks(x, **_tick_labels(values))
        axes.set_xticks([], minor=True)
    elif axis.is_geometric:
        plain_ticks(axes.xaxis, math.log10(x.max() / x.min()))
    axes.set(xlabel=axis.name, ylabel=f"{metric}, mean ± 95%", title="\n".join(_titles(sweep, metric)))
    shown = np.concatenate(list(means.values()))
    set_y(axes, of_errors(shown[(shown >= low) & (shown <= high)], np.concatenate(edges)))
    legend.below(figure)
    return figure


def _over_two(sweep: Sweep, x: Axis, y: Axis, others: Sequence[Axis]) -> Figure:
    """Two heat maps with one scale of colours: the best of an error and of an accuracy are both bright."""
    first, best = sweep.finished[0], next(iter(sweep.best_of_each_task()), None)
    metric, shown = first[1].metric, first[0] if best is None else best
    fixed = {axis.key: shown.values.get(axis.key) for axis in others}
    placed = _placed(sweep, x, y, fixed, metric)
    places = [(row, column) for row in range(len(y.values)) for column in range(len(x.values))]
    maps = {panel: np.full((len(y.values), len(x.values)), np.nan) for panel in PANELS}
    for place, cell in placed.items():
        for panel in PANELS:
            maps[panel][place] = finite(_estimate(cell.scores, panel)[0])
    shades = _range(sweep, maps)
    colours, log = _colours(shades, better=first[1].higher_is_better)
    written = max(len(x.values), len(y.values)) <= WRITTEN
    figure = Figure(figsize=_size(x, y), layout="constrained")
    several = list(figure.subplots(1, 2, sharey=True))
    for axes, panel in zip(several, PANELS, strict=True):
        axes.grid(False)
        axes.set_facecolor("#ffffff")
        axes.pcolormesh(np.ma.masked_invalid(maps[panel]), norm=colours.norm, cmap=colours.cmap, edgecolors="#ffffff",
                        linewidth=0.5)  # fmt: skip
        axes.set(title=f"{panel} {metric}", xlabel=x.name)
        axes.set_xticks(np.arange(len(x.values)) + 0.5, **_tick_labels(x.values))
        axes.set_yticks(np.arange(len(y.values)) + 0.5, [short(value) for value in y.values])
        axes.tick_params(length=0)
        for row, column in places:
            found, mean = placed.get((row, column)), maps[panel][row, column]
            if found is not None and found.state != "waiting" and np.isnan(mean):
                hatched: Any = {"facecolor": "#f2f2f2", "edgecolor": "#9a9a9a", "hatch": "////", "linewidth": 0}
                axes.add_patch(Rectangle((column, row), 1, 1, **hatched))
            if written and found is not None:
                words, ink = _words(found, mean, colours, shades)
                box: Any = {"facecolor": "#f2f2f2", "edgecolor": "none", "pad": 1.0} if np.isnan(mean) else None
                axes.text(column + 0.5, row + 0.5, words, ha="center", va="center", color=ink, fontsize=6.5, bbox=box)
            if _is_best(sweep, fixed | {y.key: y.values[row], x.key: x.values[column]}):
                frame: Any = {"fill": False, "edgecolor": COLOURS[1], "linewidth": 2.2, "label": FRAME}
                axes.add_patch(Rectangle((column + 0.04, row + 0.06), 0.92, 0.88, **frame))
        if not y.is_numeric and not axes.yaxis_inverted():
            axes.invert_yaxis()
    several[0].set_ylabel(y.name)
    bar = figure.colorbar(
        colours, ax=several, extend=_tips(maps, shades), label=f"{metric}{', log scale' * log}", pad=0.02
    )
    if log:
        plain_ticks(bar.ax.yaxis, math.log10(shades[1] / shades[0]))
    bar.outline.set_linewidth(0.5)
    titles = _titles(sweep, metric)
    if others:
        values = ", ".join(f"{axis.name}={text(shown.values[axis.key])}" for axis in others if axis.key in shown.values)
        titles.append(f"at the best of the others: {values}")
    if sweep.chosen:
        titles.append(f"framed: {_best_of(sweep)}")
    figure.suptitle("\n".join(titles), fontsize=8)
    return figure


def _placed(sweep: Sweep, x: Axis, y: Axis, fixed: Mapping[str, Any], metric: str) -> dict[Place, Cell]:
    """The cells of this metric and those that failed, by place: everywhere along an axis that they do not have."""
    placed: dict[Place, Cell] = {}
    for cell in sweep.cells:
        of_another_metric = cell.scores is not None and cell.scores.metric != metric
        if of_another_metric or any(cell.values.get(key) != value for key, value in fixed.items()):
            continue
        rows, columns = (
            [axis.values.index(cell.values[axis.key])] if axis.key in cell.values else range(len(axis.values))
            for axis in (y, x)
        )
        placed |= {(row, column): cell for row in rows for column in columns}
    return placed


def _words(cell: Cell, mean: float, colours: ScalarMappable, shades: tuple[float, float]) -> tuple[str, str]:
    """What is written into a place of a heat map, and the colour that can be read there."""
    if cell.scores is None:
        return cell.state, "#000000"
    if math.isnan(mean):
        return "diverged", "#000000"
    red, green, blue, _ = (float(part) ** 2.2 for part in colours.to_rgba(np.array(mean)))
    bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18  # relative luminance, where contrasts are equal
    shown = number(mean, 3) if shades[0] <= mean <= shades[1] else f"{number(mean, 3)} {BEYOND_MARK}"
    if cell.scores.diverged:
        shown += f"\n{len(cell.scores.diverged)} of {cell.scores.seeds} diverged"
    return shown, "#000000" if bright else "#ffffff"


def _titles(sweep: Sweep, metric: str) -> list[str]:
    if all(scores.metric == metric for _, scores in sweep.finished):
        return [sweep.name()]
    return [sweep.name(), f"{metric} alone: not drawn are tasks with another metric"]


def _best_of(sweep: Sweep) -> str:
    return "best of each task by validation" if len(sweep.chosen) > 1 else "best by validation"


def _is_best(sweep: Sweep, values: Mapping[str, Any]) -> bool:
    """Whether the best of a task, where there was anything to choose between, has these values."""
    return any(all(values.get(key) == value for key, value in cell.values.items()) for cell in sweep.chosen)


def _estimate(scores: Scores | None, panel: Panel) -> tuple[float, float]:
    if scores is None:
        return math.nan, math.nan
    estimate = scores.valid if panel == "validation" else scores.test
    return estimate.mean, estimate.ci95


def _tick_labels(values: Sequence[Any]) -> Any:
    words = [short(value) for value in values]
    if len(set(words)) < len(words):
        words = [text(value) for value in values]
    slanted = sum(map(len, words)) > 36 or max(map(len, words)) > 9
    return {"labels": words, "rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slanted else {"labels": words}


def short(value: Any) -> str:
    """A value as a flag spells it; of a long number three digits."""
    word = text(value)
    return f"{value:.3g}" if isinstance(value, int | float) and len(word) > 6 else word


def _size(x: Axis, y: Axis) -> tuple[float, float]:
    """Inches."""
    columns, rows = (min(len(axis.values), WRITTEN) for axis in (x, y))
    words = max(len(text(value)) for value in y.values)
    return max(PAGE, 1.4 + 0.06 * words + 2 * COLUMN * columns), 1.5 + max(1.2, ROW * rows)


def _tips(maps: Mapping[Panel, NDArray[np.float64]], shades: tuple[float, float]) -> Any:
    """At which ends something lies beyond the scale, as matplotlib calls them."""
    under, over = (any((values < shades[0]).any() for values in maps.values()),
                   any((values > shades[1]).any() for values in maps.values()))  # fmt: skip
    return {(True, True): "both", (False, True): "max", (True, False): "min"}.get((under, over), "neither")


def _colours(shades: tuple[float, float], *, better: bool) -> tuple[ScalarMappable, bool]:
    """One scale for both maps, and whether it is logarithmic. What lies beyond it has a colour of its own."""
    low, high = shades
    colours = colormaps["cividis" if better else "cividis_r"].with_extremes(over=BEYOND, under=BEYOND, bad="#00000000")
    log = low > 0 and high > LOG_RATIO * low
    norm = LogNorm(low, high) if log else Normalize(low, high if high > low else low + (abs(low) or 1) / 10)
    return ScalarMappable(norm, colours), log


def _range(sweep: Sweep, means: Mapping[Panel, NDArray[np.float64]]) -> tuple[float, float]:
    """Of both panels, without the outliers of each: validation and test tasks may lie far apart, and neither is one."""
    higher = sweep.finished[0][1].higher_is_better
    known = [values.ravel() for values in means.values() if np.isfinite(values).any()]
    found = [without_outliers(values, higher_is_better=higher) for values in known] or [(0.0, 1.0)]
    return min(low for low, _ in found), max(high for _, high in found)
