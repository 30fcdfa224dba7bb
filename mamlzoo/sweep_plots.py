"""Figures of a sweep: lines over one axis of numbers, points over one of words, heat maps over two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mamlzoo.axes import Axis, text
from mamlzoo.errors import UsageError
from mamlzoo.plots import COLOURS, LOG_SPREAD, STYLE, Figure
from mamlzoo.sweeps import Cell, Scores, Sweep
from mamlzoo.tables import number

Split = Literal["validation", "test"]
SPLITS: tuple[Split, Split] = ("validation", "test")
LABELLED = 12
"""Up to so many values of an axis each has its tick."""
WRITTEN = 30
"""Up to so many rows and columns a heat map's cells have their values written into them."""
COLUMN, ROW = 0.8, 0.5
"""Inches of a heat map's cell."""
ASIDE = 0.08
"""How far validation stands left of a word, and test right of it."""
TALLEST = 1000
"""A logarithmic axis ends at so many times the smallest mean."""
LARGE = 1e30
"""What is larger is not drawn."""

Place = tuple[int, int]
"""A cell of a heat map: row, column."""


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
    cells = {cell.values[axis.key]: cell for cell in sweep.cells if cell.scores is None or cell.scores.metric == metric}
    values = [value for value in axis.values if value in cells]
    x = np.array(values if numeric else range(len(values)), dtype=np.float64)
    means: dict[Split, NDArray[np.float64]] = {}
    with rc_context(STYLE):
        figure = Figure(figsize=(6.5, 4), layout="constrained")
        axes = figure.subplots()
    for split, colour, marker, aside in zip(SPLITS, COLOURS, "os", (-ASIDE, ASIDE), strict=False):
        estimates = [_estimate(cells[value].scores, split) for value in values]
        mean, half = (_drawable([one[at] for one in estimates]) for at in (0, 1))
        half, means[split] = np.nan_to_num(half), mean
        if numeric:
            axes.plot(x, mean, color=colour, marker=marker, markersize=5, label=split)
            axes.fill_between(x, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
        else:
            axes.errorbar(x + aside, mean, half, fmt=marker, color=colour, capsize=4, label=split)
    best = [at for at, value in enumerate(values) if _is_best(sweep, {axis.key: value})]
    if best:
        ring: Any = {"s": 160, "facecolors": "none", "edgecolors": "black", "linewidths": 1.5, "zorder": 3}
        where = x[best] - (0 if numeric else ASIDE)
        axes.scatter(where, means["validation"][best], label=_best_of(sweep), **ring)
    gaps = x[np.isnan(means["validation"]) | np.isnan(means["test"])]
    if len(gaps):
        bottom = np.full(len(gaps), 0.03)
        axes.plot(gaps, bottom, "kx", transform=axes.get_xaxis_transform(), label="failed or diverged")
    if numeric and axis.is_geometric:
        axes.set_xscale("log")
    if len(values) <= LABELLED or not numeric:
        axes.set_xticks(x, **_tick_labels(values))
        axes.set_xticks([], minor=True)
    axes.set(xlabel=axis.name, ylabel=f"{metric}, mean ± 95%", title="\n".join(_titles(sweep, metric)))
    _scale(axes, np.concatenate(list(means.values())))
    axes.legend(frameon=False)
    return figure


def _over_two(sweep: Sweep, x: Axis, y: Axis, others: Sequence[Axis]) -> Figure:
    """Two heat maps with one scale of colours: the best of an error and of an accuracy are both bright."""
    first, best = sweep.finished[0], next(iter(sweep.best_of_each_task()), None)
    metric, shown = first[1].metric, first[0] if best is None else best
    fixed = {axis.key: shown.values.get(axis.key) for axis in others}
    placed = _placed(sweep, x, y, fixed, metric)
    places = [(row, column) for row in range(len(y.values)) for column in range(len(x.values))]
    maps = {split: np.full((len(y.values), len(x.values)), np.nan) for split in SPLITS}
    for place, cell in placed.items():
        for split in SPLITS:
            maps[split][place] = _drawable([_estimate(cell.scores, split)[0]])[0]
    colours = ScalarMappable(_norm(maps), colormaps["cividis" if first[1].higher_is_better else "cividis_r"])
    written = max(len(x.values), len(y.values)) <= WRITTEN
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=_size(x, y), layout="constrained")
        panels = list(figure.subplots(1, 2, sharey=True))
    for axes, split in zip(panels, SPLITS, strict=True):
        origin: Any = "lower" if y.is_numeric else "upper"
        axes.imshow(maps[split], norm=colours.norm, cmap=colours.cmap, aspect="auto", origin=origin)
        axes.set(title=f"{split} {metric}", xlabel=x.name)
        axes.set_xticks(range(len(x.values)), **_tick_labels(x.values))
        axes.set_yticks(range(len(y.values)), [text(value) for value in y.values])
        axes.tick_params(length=0)
        for row, column in places:
            if written and (row, column) in placed:
                words, ink = _words(placed[row, column], maps[split][row, column], colours)
                axes.text(column, row, words, ha="center", va="center", color=ink, fontsize=8)
            if _is_best(sweep, fixed | {y.key: y.values[row], x.key: x.values[column]}):
                corner = (column - 0.46, row - 0.44)
                axes.add_patch(Rectangle(corner, 0.92, 0.88, fill=False, edgecolor=COLOURS[1], linewidth=2.5))
    panels[0].set_ylabel(y.name)
    if not written:
        figure.colorbar(colours, ax=panels)
    titles = _titles(sweep, metric)
    if others:
        values = ", ".join(f"{axis.name}={text(shown.values[axis.key])}" for axis in others if axis.key in shown.values)
        titles.append(f"at the best of the others: {values}")
    if sweep.chosen:
        titles.append(f"framed: {_best_of(sweep)}")
    figure.suptitle("\n".join(titles), fontsize=10)
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


def _words(cell: Cell, mean: float, colours: ScalarMappable) -> tuple[str, str]:
    """What is written into a place of a heat map, and the colour that can be read there."""
    if cell.scores is None:
        return cell.state, "black"
    if math.isnan(mean):
        return "diverged", "black"
    red, green, blue, _ = (float(part) ** 2.2 for part in colours.to_rgba(np.array(mean)))
    bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18  # relative luminance, where contrasts are equal
    some = f"\n{len(cell.scores.diverged)} of {cell.scores.seeds} diverged" * bool(cell.scores.diverged)
    return number(mean, 3) + some, "black" if bright else "white"


def _titles(sweep: Sweep, metric: str) -> list[str]:
    several = any(scores.metric != metric for _, scores in sweep.finished)
    return [sweep.name(), *[f"{metric} alone: not drawn are tasks with another metric"] * several]


def _best_of(sweep: Sweep) -> str:
    return f"best{' of each task' * (len(sweep.chosen) > 1)} by validation"


def _is_best(sweep: Sweep, values: Mapping[str, Any]) -> bool:
    """Whether the best of a task, where there was anything to choose between, has these values."""
    return any(all(values.get(key) == value for key, value in cell.values.items()) for cell in sweep.chosen)


def _estimate(scores: Scores | None, split: Split) -> tuple[float, float]:
    if scores is None:
        return math.nan, math.nan
    estimate = scores.valid if split == "validation" else scores.test
    return estimate.mean, estimate.ci95


def _tick_labels(values: Sequence[Any]) -> Any:
    words = [text(value) for value in values]
    slanted = sum(map(len, words)) > 60 or max(map(len, words)) > 10
    return {"labels": words, "rotation": 30, "ha": "right"} if slanted else {"labels": words}


def _size(x: Axis, y: Axis) -> tuple[float, float]:
    """Inches."""
    columns, rows = (min(len(axis.values), WRITTEN) for axis in (x, y))
    words = max(len(text(value)) for value in y.values)
    return 1.2 + 0.08 * words + 2 * max(2.4, COLUMN * columns), 1.8 + max(1.4, ROW * rows)


def _norm(maps: Mapping[Split, NDArray[np.float64]]) -> Normalize:
    """One scale for both; it ends where a logarithmic one would leave nothing for the good ones."""
    values = np.concatenate([values.ravel() for values in maps.values()])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if _spans_decades(values):
        return LogNorm(low, LOG_SPREAD * low, clip=True)
    return Normalize(low, high if high > low else low + 1)


def _scale(axes: Axes, values: NDArray[np.float64]) -> None:
    values = values[np.isfinite(values)]
    if _spans_decades(values):
        axes.set_yscale("log")
        if values.max() > TALLEST * values.min():  # the good ones are to be told apart: others leave at the top
            axes.set_ylim(values.min() / 2, TALLEST * values.min())
    elif len(values) and values.min() >= 0:
        axes.set_ylim(bottom=0)


def _spans_decades(values: NDArray[np.float64]) -> bool:
    return len(values) > 0 and bool(values.min() > 0 and values.max() > LOG_SPREAD * values.min())


def _drawable(values: Sequence[float]) -> NDArray[np.float64]:
    """A gap where a value is not finite, or too large to draw."""
    array = np.array(values, dtype=np.float64)
    return np.where(np.abs(array) < LARGE, array, np.nan)
