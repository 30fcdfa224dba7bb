"""The figures that are written beside a value, by the name of their file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from mamlzoo.comparisons.comparison import Comparison
from mamlzoo.experiments.result import Result
from mamlzoo.figures import plots
from mamlzoo.figures import sweep as sweep_figure
from mamlzoo.figures.plots import Figure
from mamlzoo.inference import fits, meta_parameters
from mamlzoo.reproductions.reproduction import Reproduction
from mamlzoo.sweeps.sweep import Sweep


def drawn(what: object) -> dict[str, Callable[[], bytes]]:
    """What draws them, as PNG: of a result, a comparison, a sweep or a reproduction; of anything else there is none."""

    def as_png(make: Callable[[], Figure]) -> Callable[[], bytes]:
        return lambda: plots.png(make())

    return {name: as_png(make) for name, make in figures_of(what).items()}


def figures_of(what: object) -> dict[str, Callable[[], Figure]]:
    """The same, to be drawn in any format."""
    if isinstance(what, Result):
        return _of_run(what)
    if isinstance(what, Comparison):
        return {"curves": lambda: plots.curves(what.results, what.labels())}
    if isinstance(what, Sweep):
        return {"sweep": lambda: sweep_figure.figure(what)}
    if isinstance(what, Reproduction):
        return {name: functools.partial(_curves, what, labels) for name, labels in what.recipe.figures.items()}
    return {}


def _of_run(result: Result) -> dict[str, Callable[[], Figure]]:
    """Only those that the result has something for."""
    figures = {"curves": lambda: plots.curves([result])}
    if result.history:
        figures["training"] = lambda: plots.training([result])
    if len(meta_parameters.experiment_of(result).task.spec.input_shape) == 1:  # images would take too long
        steps = sorted({step for step in (0, 1, 10) if step <= len(result.evaluation.steps) - 1})
        figures["adaptation"] = lambda: plots.adaptation(fits.panels(result, steps=steps))
    return figures


def _curves(what: Reproduction, labels: Sequence[str]) -> Figure:
    return plots.curves([what.results[label] for label in labels], list(labels))
