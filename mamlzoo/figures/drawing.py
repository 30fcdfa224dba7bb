"""The figures that are written beside a value, by the name of their file."""

from __future__ import annotations

from mamlzoo import fits, plots, sweep_plots, trained
from mamlzoo.comparison import Comparison
from mamlzoo.plots import Figure
from mamlzoo.reproduction import Reproduction
from mamlzoo.result import Result
from mamlzoo.sweeps import Sweep


def drawn(what: object) -> dict[str, bytes]:
    """As PNG: of a result, a comparison, a sweep or a reproduction; of anything else there is none."""
    return {name: plots.png(figure) for name, figure in figures_of(what).items()}


def figures_of(what: object) -> dict[str, Figure]:
    """The same, to be drawn in any format."""
    if isinstance(what, Result):
        return _of_run(what)
    if isinstance(what, Comparison):
        return {"curves": plots.curves(what.results, what.labels())}
    if isinstance(what, Sweep):
        return {"sweep": sweep_plots.figure(what)}
    if isinstance(what, Reproduction):
        return {
            name: plots.curves([what.results[label] for label in labels], list(labels))
            for name, labels in what.recipe.figures.items()
        }
    return {}


def _of_run(result: Result) -> dict[str, Figure]:
    """Only those that the result has something for."""
    figures = {"curves": plots.curves([result])}
    if result.history:
        figures["training"] = plots.training([result])
    if len(trained.experiment_of(result).task.spec.input_shape) == 1:  # images would take too long
        steps = sorted({step for step in (0, 1, 10) if step <= len(result.evaluation.steps) - 1})
        figures["adaptation"] = plots.adaptation(fits.panels(result, steps=steps))
    return figures
