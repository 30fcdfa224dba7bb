"""Figures from results; the one place that imports matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import matplotlib.text
import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.ticker import FixedFormatter
from numpy.typing import NDArray

from mamlzoo import files, fits, trained
from mamlzoo.errors import UsageError
from mamlzoo.fits import Fit
from mamlzoo.inline_svg import inline
from mamlzoo.result import Result
from mamlzoo.tables import plain

FORMATS = (".png", ".svg", ".pdf")
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "font.size": 10,
}
INLINE_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "mamlzoo", "font.sans-serif": ["DejaVu Sans", "Verdana"]}
"""Text stays text; the same figure gives the same bytes."""
INLINE_INCHES = (4.8, 3.4)
"""Small, so that text is still read when the figure is scaled to a phone."""
MARKED = 21
"""Up to so many adaptation steps each has its mark and its tick."""
LABELLED = 10
"""At most so many predictions of a fit stand in its legend, spread over all of them."""
LOG_SPREAD = 30
"""Curves whose values differ by more than this factor are drawn on a logarithmic axis."""


class Figure(matplotlib.figure.Figure):
    """A figure that shows itself in a notebook, and names as they stand: a dollar sign in one begins no formula."""

    def savefig(self, *args: Any, **settings: Any) -> None:
        ours = [axis for axes in self.axes for axis in (axes.xaxis, axes.yaxis) if not _is_worded(axis)]
        numbers = {id(label) for axis in ours for label in axis.get_ticklabels(which="both")}
        for text in self.findobj(matplotlib.text.Text):
            if id(text) not in numbers:  # those on a logarithmic axis are formulas
                text.set_parse_math(False)
                text.set_text(plain(text.get_text()))
        super().savefig(*args, **settings)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the file's ending.

    Raises:
        UsageError: another ending, or a place that cannot be written.
    """
    check_format(path)
    try:
        metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
        with files.whole(path) as file:
            figure.savefig(file, format=path.suffix[1:].lower(), dpi=150, metadata=metadata)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error


def svg(figure: Figure, label: str) -> str:
    """A figure as an element of an HTML page: it scales to its box, and black is the page's own text colour.

    Args:
        label: what it shows, for those who cannot see it.
    """
    buffer, (width, height) = io.StringIO(), figure.get_size_inches()
    figure.set_size_inches(INLINE_INCHES)
    with rc_context(INLINE_STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    figure.set_size_inches(width, height)
    return inline(buffer.getvalue(), label)


def check_format(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is drawn.

    Raises:
        UsageError: the file's ending names no format.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path} must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")


def of_run(result: Result) -> dict[str, Figure]:
    """The figures of a run directory, by name; only those that the result has something for."""
    figures = {"curves": curves([result])}
    if result.history:
        figures["training"] = training([result])
    if fits.is_curve(trained.experiment_of(result).task):
        steps = sorted({step for step in (0, 1, 10) if step <= len(result.evaluation.steps) - 1})
        figures["adaptation"] = adaptation([fits.fit(result, steps=steps)])
    return figures


def palette(count: int) -> list[str]:
    """A colour of its own for each of several runs, as in '#0072b2'."""
    if count <= len(COLOURS):
        return COLOURS[:count]
    return [to_hex(colour) for colour in colormaps["turbo"](np.linspace(0.1, 0.9, count))]


def curves(
    results: Sequence[Result],
    labels: Sequence[str] | None = None,
    colours: Sequence[str] | None = None,
    *,
    legend: bool = True,
) -> Figure:
    """Test metric by adaptation steps, with 95% bands; a panel for each metric."""
    labels, colours = labels or [r.name for r in results], colours or palette(len(results))
    entries = list(zip(results, labels, colours, strict=True))
    metrics = list(dict.fromkeys(result.evaluation.metric for result in results))
    figure, panels = _panels(len(metrics))
    for axes, metric in zip(panels, metrics, strict=True):
        drawn, longest = [], 0
        for result, label, colour in entries:
            e = result.evaluation
            if e.metric != metric:
                continue
            mean, half = _finite(e.mean), np.nan_to_num(_finite(e.ci95))
            axes.plot(e.steps, mean, color=colour, marker="." if len(e.steps) <= MARKED else None, label=label)
            axes.fill_between(e.steps, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
            drawn.append(mean)
            longest = max(longest, len(e.steps))
        axes.set(xlabel="adaptation steps", ylabel=f"test {metric}, mean ± 95%")
        _scale(axes, drawn)
        if longest <= MARKED:
            axes.set_xticks(range(longest))
        if legend:
            _legend(axes)
    return figure


def training(
    results: Sequence[Result],
    labels: Sequence[str] | None = None,
    colours: Sequence[str] | None = None,
    *,
    legend: bool = True,
) -> Figure:
    """Meta-loss by meta-steps, one thin line a seed and the seeds' mean.

    Raises:
        UsageError: a result was not trained.
    """
    for result in results:
        if not result.history:
            raise UsageError(f"{result.run_dir or result.name}: nothing was trained, so there is no meta-loss to draw")
    labels, colours = labels or [r.name for r in results], colours or palette(len(results))
    figure, axes = _new()
    drawn = []
    for result, label, colour in zip(results, labels, colours, strict=True):
        steps = [record.step for record in result.history]
        losses = _finite(np.array([record.losses for record in result.history]))
        if losses.shape[1] > 1:
            axes.plot(steps, losses, color=colour, alpha=0.25, linewidth=0.8)
        with np.errstate(invalid="ignore"):
            axes.plot(steps, losses.mean(1), color=colour, label=label)
        drawn.append(losses)
    axes.set(xlabel="meta-steps", ylabel="meta-loss in training")
    _scale(axes, drawn)
    if legend:
        _legend(axes)
    return figure


def adaptation(several: Sequence[Fit]) -> Figure:
    """Fits of one episode after a few numbers of steps, one panel a run: support points, true curve, predictions."""
    figure, panels = _panels(len(several))
    for axes, fit in zip(panels, several, strict=True):
        if len(fit.query) > 10 and fit.is_function:
            axes.plot(*fit.query.T, color="black", label="true function")
        elif len(fit.query):
            axes.plot(*fit.query.T, "o", color="black", label="query points")
        count = len(fit.predictions)
        named = set(np.linspace(0, count - 1, min(count, LABELLED)).round().astype(int).tolist())
        for at, ((steps, y), colour) in enumerate(zip(fit.predictions.items(), _shades(count), strict=True)):
            label = f"after {steps} step{'s' * (steps != 1)}" if at in named else None
            axes.plot(fit.x, _finite(y), "--", color=colour, label=label)
        axes.plot(*fit.support.T, "^", color=COLOURS[3], markersize=7, label="support points")
        axes.set(xlabel="x", ylabel="y", title=fit.title)
        axes.legend(frameon=False, fontsize=8)
    return figure


def gallery(x: NDArray[np.float32], y: NDArray[np.float32], title: str) -> Figure:
    """Sampled tasks as curves: a few in colour, many overlaid in black."""
    figure, axes = _new()
    if len(y) <= len(COLOURS):
        for curve, colour in zip(y, COLOURS, strict=False):
            axes.plot(x, curve, color=colour)
    else:
        axes.plot(x, y.T, color="black", linewidth=0.5, alpha=max(0.08, min(0.5, 100 / len(y))))
    axes.set(xlabel="x", ylabel="y", title=title)
    return figure


def average(x: NDArray[np.float32], y: NDArray[np.float32], title: str) -> Figure:
    """The mean of all curves beside a single one."""
    figure, axes = _new()
    axes.plot(x, y[0], color=COLOURS[1], label="one of them")
    axes.plot(x, y.mean(0), color=COLOURS[0], linewidth=2, label=f"mean of {len(y):,}")
    axes.set(xlabel="x", ylabel="y", title=title)
    axes.legend(frameon=False)
    return figure


def _is_worded(axis: Axis) -> bool:
    """Whether an axis has names at its ticks, and not numbers."""
    return isinstance(axis.get_major_formatter(), FixedFormatter)


def _new() -> tuple[Figure, Axes]:
    figure, (axes,) = _panels(1)
    return figure, axes


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    with rc_context(STYLE):
        figure = Figure(figsize=(2 + 4.5 * count, 4), layout="constrained")
        return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _legend(axes: Axes) -> None:
    """A legend of runs, whose labels may be long: they are not to squeeze the axes to nothing."""
    axes.legend(frameon=False).set_in_layout(False)


def _shades(count: int) -> list[Any]:
    """Colours for a sequence of steps: a few that differ, or many that darken."""
    return COLOURS[:count] if count <= 3 else list(colormaps["viridis_r"](np.linspace(0.1, 0.9, count)))


def _finite(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """A gap in the line where a value is not finite or too large to draw."""
    return np.where(np.abs(values) < 1e30, values, np.nan)


def _scale(axes: Axes, drawn: Sequence[NDArray[np.floating]]) -> None:
    values = np.concatenate([np.ravel(array) for array in drawn])
    positive = values[np.isfinite(values)]
    if len(positive) and positive.min() > 0 and positive.max() > LOG_SPREAD * positive.min():
        axes.set_yscale("log")
    elif len(positive) and positive.min() >= 0:
        axes.set_ylim(bottom=0)
