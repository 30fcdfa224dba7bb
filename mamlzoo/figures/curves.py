"""Learning curves: a metric by adaptation steps, the meta-loss by meta-steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mamlzoo.errors import UsageError
from mamlzoo.experiments.result import Result
from mamlzoo.figures import legend as legends
from mamlzoo.figures.axis_limits import LOG_SPREAD, finite, of_errors, set_y
from mamlzoo.figures.style import Figure, Look, in_style, looks, panels

MARKED = 21
"""Up to so many adaptation steps each has its mark and its tick."""
BANDED = 8
"""Up to so many curves have bands: more of them hide each other, and every curve."""
WINDOWS = 40
"""Of a long run's meta-losses so many means are drawn as a line, since single meta-batches differ too much."""
MARKS = 8
"""Of more steps about so many have a mark, at other places for each line."""


@in_style
def curves(
    results: Sequence[Result],
    labels: Sequence[str] | None = None,
    styles: Sequence[Look] | None = None,
    *,
    legend: bool = True,
) -> Figure:
    """Test metric by adaptation steps, with 95% bands unless there are many; a panel for each metric.

    The axes hold all means; a band that is much wider than they differ reaches beyond. So does a curve that runs away
    where another does not.
    """
    labels, styles = labels or [r.name for r in results], styles or looks(len(results))
    entries = list(zip(results, labels, styles, strict=True))
    metrics = list(dict.fromkeys(result.evaluation.metric for result in results))
    figure, several = panels(len(metrics))
    for axes, metric in zip(several, metrics, strict=True):
        drawn, edges, own = [], [], [entry for entry in entries if entry[0].evaluation.metric == metric]
        banded = len(own) <= BANDED
        for at, (result, label, look) in enumerate(own):
            e = result.evaluation
            mean, half = finite(e.mean), np.nan_to_num(finite(e.ci95))
            axes.plot(e.steps, mean, label=label, **_line(look), markevery=_marked(len(e.steps), at, len(own)))
            drawn.append(mean)
            if banded:
                alpha = 0.2 if len(own) <= 3 else 0.1
                axes.fill_between(e.steps, mean - half, mean + half, color=look.colour, alpha=alpha, linewidth=0)
                edges += [mean - half, mean + half]
        axes.set(xlabel="adaptation steps", ylabel=f"test {metric}, mean ± 95%" if banded else f"test {metric}, mean")
        _steps(axes, max(map(len, drawn)))
        better = all(result.evaluation.higher_is_better for result, _, _ in own)
        ran_away = not better and _keep_the_rest(drawn)
        found = of_errors(np.concatenate(drawn), np.concatenate(edges or drawn))
        set_y(axes, found._replace(cut=found.cut or ran_away), "curves" if ran_away else "bands")
    if legend:
        legends.below(figure)
    return figure


@in_style
def training(
    results: Sequence[Result],
    labels: Sequence[str] | None = None,
    styles: Sequence[Look] | None = None,
    *,
    legend: bool = True,
) -> Figure:
    """Meta-loss by meta-steps, one thin line a seed and the seeds' mean; of a long run, means of its parts.

    The longest says how long those are; a run that is shorter than one of them is a single mean.

    Raises:
        UsageError: a result was not trained.
    """
    for result in results:
        if not result.history:
            raise UsageError(f"{result.run_dir or result.name}: nothing was trained, so there is no meta-loss to draw")
    labels, styles = labels or [r.name for r in results], styles or looks(len(results))
    figure, (axes,) = panels(1)
    drawn, around, window = [], [], max(1, max(len(result.history) for result in results) // WINDOWS)
    for at, (result, label, look) in enumerate(zip(results, labels, styles, strict=True)):
        steps = [record.step for record in result.history]
        losses = finite(np.array([record.losses for record in result.history]))
        length = min(window, len(steps))
        middle, losses = _windows(np.array(steps, dtype=np.float64), length), _windows(losses, length)
        mean = losses.mean(1)
        if losses.shape[1] > 1:
            axes.plot(middle, losses, color=look.colour, alpha=0.3, linewidth=0.5)
        axes.plot(middle, mean, label=label, **_line(look), markevery=_marked(len(mean), at, len(results)))
        drawn.append(mean)
        around.append(losses.ravel())
    most = f"up to {window}" if any(len(result.history) < window for result in results) else f"{window}"
    axes.set(xlabel=f"meta-steps (means of {most})" if window > 1 else "meta-steps", ylabel="meta-loss in training")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ran_away = _keep_the_rest(drawn)
    found = of_errors(np.concatenate(drawn), np.concatenate(around))
    set_y(axes, found._replace(cut=found.cut or ran_away), "curves")
    if legend:
        legends.below(figure)
    return figure


def _windows(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """The means of windows of the first axis, which do not overlap; what is left over belongs to none."""
    whole = values[: len(values) // length * length]
    means: NDArray[np.float64] = whole.reshape(-1, length, *values.shape[1:]).mean(1)
    return means


def _line(look: Look) -> dict[str, Any]:
    return {"color": look.colour, "linestyle": look.dash, "marker": look.mark}


def _marked(count: int, at: int, of: int) -> slice:
    """Which of a line's points have a mark: of few all, of many some, which no other line has."""
    if count <= MARKED:
        return slice(None)
    every = count // MARKS
    return slice(every * (at + 1) // (of + 1), None, every)


def _steps(axes: Axes, count: int) -> None:
    if count <= MARKED:
        axes.set_xticks(range(count), [str(at) if count <= 11 or at % 2 == 0 else "" for at in range(count)])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))


def _keep_the_rest(drawn: list[NDArray[np.float64]]) -> bool:
    """Leave out what is far above where most curves began, if not all get there; whether there was any such value."""
    starts = [values[np.isfinite(values)][0] for values in drawn if np.isfinite(values).any()]
    if len(starts) < 2 or min(starts) <= 0:
        return False
    top = LOG_SPREAD * sorted(starts)[(len(starts) - 1) // 2]
    wild = [bool((values > top).any()) for values in drawn]
    if not any(wild) or all(wild):
        return False
    drawn[:] = [np.where(values > top, np.nan, values) for values in drawn]
    return True
