"""Error against what adapting costs: a line for what adapts step by step, a mark for what is complete at once."""

from __future__ import annotations

import numpy as np

from mamlzoo.figures import legend as legends
from mamlzoo.figures.axis_limits import finite, of_errors, plain_ticks, set_y
from mamlzoo.figures.style import PAGE, Figure, in_style, looks, panels
from mamlzoo.reproductions.ranking import RankedRuns

TALL = 3.2
"""Inches: room for many lines."""
AT_ONCE = 1e-6
"""What changes relatively by no more than this from step to step is complete before the first."""


@in_style
def against_cost(ranking: RankedRuns) -> Figure:
    """The metric by floating-point operations of adapting to one episode, after 0, 1, … adaptation steps.

    What costs nothing that is counted stands at the left end. The 95% interval is shown after the last step.
    """
    figure, (axes,) = panels(1, height=TALL)
    figure.set_size_inches(PAGE, TALL)
    steps = slice(ranking.step + 1)
    least = min((cost for row in ranking.rows for cost in row.flops if cost), default=1)
    drawn, edges, costs = [], [], []
    for row, look in zip(ranking.rows, looks(len(ranking.rows)), strict=True):
        mean, half = finite(row.mean[steps]), np.nan_to_num(finite(row.half[steps]))[-1]
        cost = np.maximum(np.array(row.flops[steps], dtype=np.float64), least / 2) / 1e6
        if np.ptp(np.nan_to_num(mean)) <= AT_ONCE * np.abs(np.nan_to_num(mean)).max():
            mean, cost = mean[-1:], cost[-1:]
        axes.plot(cost, mean, label=row.label, color=look.colour, linestyle=look.dash, marker=look.mark)
        axes.errorbar(cost[-1:], mean[-1:], half, color=look.colour, capsize=2, linewidth=0.8)
        drawn.append(mean)
        edges += [mean[-1:] - half, mean[-1:] + half]
        costs.append(cost)
    axes.set_xscale("log")
    every = np.concatenate(costs)
    plain_ticks(axes.xaxis, float(np.log10(every.max() / every.min())))
    axes.set(xlabel="MFLOP of adapting to one episode and predicting it", ylabel=f"test {ranking.metric}, mean ± 95%")
    set_y(axes, of_errors(np.concatenate(drawn), np.concatenate(edges)), "intervals")
    legends.below(figure)
    return figure
