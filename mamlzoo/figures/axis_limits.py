"""From where to where an axis goes, so that what matters fills it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from mamlzoo.figures.style import QUIET, SMALL

LOG_SPREAD = 30
"""Positive values that differ by more than this factor are drawn on a logarithmic axis."""
LARGE = 1e30
"""What is larger is not drawn."""
MARGIN = 0.05
"""Of the axis, free at either end."""
LETTERS = 34
"""A longer name of an axis is broken into lines."""
OUTLYING = 10
"""An error that is so many times as large as a good one may be an outlier."""
ALIKE = 4
"""Panels have the same limits, unless one of them would use less than this part of the axis."""


class Limits(NamedTuple):
    """Of an axis.

    Attributes:
        log: whether it is logarithmic.
        cut: whether something reaches beyond it.
    """

    low: float
    high: float
    log: bool = False
    cut: bool = False


def finite(values: ArrayLike) -> NDArray[np.float64]:
    """A gap where a value is not finite, or too large to draw."""
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(array) < LARGE, array, np.nan)


def limits(values: ArrayLike, around: ArrayLike = (), *, log: bool | None = None, room: float = 1.0) -> Limits:
    """Limits that hold all values, and what is around them, as bands, as far as there is room for it.

    Args:
        values: any shape; what is not finite does not count.
        around: the same.
        log: whether the axis is logarithmic; None: where all values are positive and differ by a large factor.
        room: at either side, in lengths of the range of all values.
    """
    inner, outer = (_flat(array) for array in (values, around))
    if not len(inner):
        return Limits(0.0, 1.0)
    lowest, highest = float(inner.min()), float(inner.max())
    if log is None:
        log = lowest > 0 and highest > LOG_SPREAD * lowest
    if log:
        found = limits(np.log10(inner), np.log10(outer[outer > 0]), log=False, room=room)
        return Limits(10**found.low, 10**found.high, True, found.cut)
    span = highest - lowest or abs(highest) / 10 or 1.0
    reach = np.concatenate([inner, outer])
    low, high = max(float(reach.min()), lowest - room * span), min(float(reach.max()), highest + room * span)
    cut = bool(reach.min() < low or reach.max() > high)
    margin = MARGIN * (high - low or span)
    return Limits(low - margin, high + margin, False, cut)


def of_errors(values: ArrayLike, bands: ArrayLike = ()) -> Limits:
    """Limits for a metric's means and bands: where no mean is below 0, no part of the axis is."""
    means = _flat(values)
    if not len(means) or means.min() < 0:
        return limits(means, bands)
    found = limits(means, np.maximum(_flat(bands), 0))
    return found if found.log else found._replace(low=max(found.low, -MARGIN * (found.high - found.low) / 2))


def without_outliers(values: ArrayLike, *, higher_is_better: bool) -> tuple[float, float]:
    """The range of all values but those at the bad end that are so far off that the rest would look alike.

    Errors are compared by their ratio: what is both ten times as bad as a good one, and far beyond the spread of the
    good ones, is an outlier. What grows as learning succeeds is compared by its differences.
    """
    found = np.sort(_flat(values))
    if not len(found):
        return 0.0, 1.0
    ratios = bool(found[0] > 0) and not higher_is_better
    badness = np.log(found) if ratios else found[::-1] * -1 if higher_is_better else found
    best, good, middle = badness[0], badness[-(-(len(found) - 1) // 4)], badness[(len(found) - 1) // 2]
    far = np.log(OUTLYING) if ratios else max(3 * (middle - best), abs(best) / OUTLYING)
    kept = badness <= good + max(3 * (good - best), far)
    if np.ptp(badness[kept]) * 4 >= np.ptp(badness):
        kept[:] = True
    inside = (found[::-1] if higher_is_better else found)[kept]
    return float(inside.min()), float(inside.max())


def shared(several: Sequence[Limits]) -> list[Limits]:
    """The same limits for all panels, unless that would leave one of them almost nothing."""
    low, high = min(one.low for one in several), max(one.high for one in several)
    if all(ALIKE * (one.high - one.low) >= high - low for one in several):
        return [Limits(low, high)] * len(several)
    return list(several)


def set_y(axes: Axes, found: Limits, what: str = "") -> None:
    """Give an axis its limits, its scale, and ticks in plain numbers.

    Args:
        what: may reach beyond the axis, and is said to where it does.
    """
    if found.log:
        axes.set_yscale("log")
        plain_ticks(axes.yaxis, np.log10(found.high / found.low))
        axes.set_ylabel(f"{axes.get_ylabel()}, log scale")
    axes.set_ylabel(textwrap.fill(axes.get_ylabel(), LETTERS))
    axes.set_ylim(found.low, found.high)
    if found.cut and what:
        axes.set_title(f"{what} reach beyond the axis", loc="right", fontsize=SMALL, color=QUIET)


def plain_ticks(axis: Axis, decades: float) -> None:
    """Ticks of a logarithmic axis as 0.1, 1, 10; with 2 and 5 between where there are few decades."""
    steps = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
    axis.set_major_locator(LogLocator(subs=steps, numticks=7 if decades >= 2.5 else 12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _flat(values: ArrayLike) -> NDArray[np.float64]:
    array = finite(values).ravel()
    return array[np.isfinite(array)]
