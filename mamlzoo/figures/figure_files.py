"""The figures of a value: those that can be asked for, and those that are written beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from mamlzoo.comparisons.comparison import Comparison
from mamlzoo.experiments.result import Result
from mamlzoo.figures import plots
from mamlzoo.figures import sweep as sweep_figure
from mamlzoo.figures.cost import against_cost
from mamlzoo.figures.plots import Figure
from mamlzoo.inference import fits, meta_parameters
from mamlzoo.inference.embeddings import embeddings, has_embedding
from mamlzoo.inference.fields import is_of_plane
from mamlzoo.reproductions.reproduction import Reproduction
from mamlzoo.sweeps.sweep import Sweep

Draw = Callable[[], Figure]
FEW = 3
"""Test tasks that are images are shown side by side, so many of them."""


def kinds_of(what: Result | Comparison | Sweep) -> Mapping[str, Draw]:
    """What draws each kind of figure that there is of it, whether or not it has the numbers for one."""
    if isinstance(what, Sweep):
        return {"curves": lambda: sweep_figure.figure(what)}
    if isinstance(what, Comparison):
        return {"curves": lambda: plots.curves(what.results, what.labels())}
    return {
        "curves": lambda: plots.curves([what]),
        "training": lambda: plots.training([what]),
        "adaptation": lambda: _adaptation(what, fits.STEPS),
        "embedding": lambda: plots.adaptation(embeddings(what)),
    }


def drawn(what: object) -> dict[str, Callable[[], bytes]]:
    """What draws the figures that are written beside a value, as PNG, by the name of their file.

    Those of a result, a comparison, a sweep or a reproduction that it has numbers for; of anything else there is none.
    """

    def as_png(draw: Draw) -> Callable[[], bytes]:
        return lambda: plots.png(draw())

    return {name: as_png(draw) for name, draw in _written(what).items()}


def _written(what: object) -> Mapping[str, Draw]:
    if isinstance(what, Result):
        return _of_run(what)
    if isinstance(what, Comparison):
        return kinds_of(what)
    if isinstance(what, Sweep):
        return {"sweep": kinds_of(what)["curves"]}
    if isinstance(what, Reproduction):
        return {
            **{name: functools.partial(_curves, what, labels) for name, labels in what.recipe.figures.items()},
            **{name: functools.partial(against_cost, ranking) for name, ranking in what.rankings.items()},
        }
    return {}


def _of_run(result: Result) -> Mapping[str, Draw]:
    figures = dict(kinds_of(result))
    if not result.history:
        del figures["training"]
    run = meta_parameters.experiment_of(result)
    if not has_embedding(run.task, run.algorithm):
        del figures["embedding"]
    if len(run.task.spec.input_shape) > 1:  # of images it would take too long
        del figures["adaptation"]
    else:  # after no more steps than were tested
        steps = [step for step in fits.STEPS if step < len(result.evaluation.steps)]
        figures["adaptation"] = lambda: _adaptation(result, steps)
    return figures


def _adaptation(result: Result, steps: Sequence[int]) -> Figure:
    """Of one test task; of functions of the plane, which are images, of a few."""
    spec = meta_parameters.experiment_of(result).task.spec
    if not is_of_plane(spec):
        return plots.adaptation(fits.panels(result, steps=steps))
    several = {f"test task {at}": at for at in range(min(FEW, spec.test_episodes or FEW))}
    found = [fits.panels(result, steps=steps, episode=at, title=title) for title, at in several.items()]
    return plots.adaptation([panel for panels in found for panel in panels])


def _curves(what: Reproduction, labels: Sequence[str]) -> Figure:
    return plots.curves([what.results[label] for label in labels], list(labels))
