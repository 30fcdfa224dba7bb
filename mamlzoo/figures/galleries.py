"""What a task's episodes look like, and what they have in common."""

from __future__ import annotations

from typing import Any

from mamlzoo.figures import legend as legends
from mamlzoo.figures.axis_limits import limits
from mamlzoo.figures.fields import draw_field
from mamlzoo.figures.fits import CLASS_COLOURS, is_smooth
from mamlzoo.figures.pictures import draw_pictures
from mamlzoo.figures.style import COLOURS, DASHES, MARKS, Figure, in_style, label_outer, looks, panels
from mamlzoo.inference.pictures import Pictures
from mamlzoo.inference.samples import Albums, Clouds, Curves, Samples, Scattered


@in_style
def gallery(samples: Samples, title: str) -> Figure:
    """Sampled tasks: as curves or points, a few in colour, many overlaid in black; or as points of classes."""
    if isinstance(samples, Clouds):
        return _clouds(samples, title)
    if isinstance(samples, Albums):
        return _albums(samples, title)
    figure, (axes,) = panels(1)
    count, few = len(samples.y), len(samples.y) <= len(COLOURS)
    faint = max(0.08, min(0.5, 100 / count))
    for at, (y, look) in enumerate(zip(samples.y, looks(count) if few else [None] * count, strict=True)):
        x = samples.x if isinstance(samples, Curves) else samples.x[at]
        line = look.dash if look else "-"
        if isinstance(samples, Scattered) or not is_smooth(x, y):
            mark: Any = {"marker": look.mark if look else ".", "linestyle": "", "markersize": 3.5 if look else 2}
        else:
            mark = {"linestyle": line, "linewidth": 1.3 if look else 0.5}
        axes.plot(x, y, color=look.colour if look else "#000000", alpha=None if look else faint, **mark)
    axes.set(xlabel="x", ylabel="y", title=title, ylim=limits(samples.y, log=False)[:2])
    return figure


@in_style
def average(samples: Curves, title: str) -> Figure:
    """The mean of all curves beside a single one."""
    figure, (axes,) = panels(1)
    axes.plot(samples.x, samples.y[0], color=COLOURS[1], linestyle=DASHES[1], label="one of them")
    axes.plot(samples.x, samples.y.mean(0), color=COLOURS[0], linewidth=2, label=f"mean of {len(samples.y):,}")
    axes.set(xlabel="x", ylabel="y", title=title)
    legends.below(figure)
    return figure


def _albums(samples: Albums, title: str) -> Figure:
    """Images, each episode in axes of its own."""
    figure, grid = panels(len(samples.episodes))
    for axes, episode in zip(grid, samples.episodes, strict=True):
        if isinstance(episode, Pictures):
            draw_pictures(axes, episode)
        else:
            draw_field(axes, episode)
            axes.set_title(episode.title)
    label_outer(grid)
    figure.suptitle(title, fontsize=8)
    legends.below(figure)
    return figure


def _clouds(samples: Clouds, title: str) -> Figure:
    """Points by class, each episode in axes of its own."""
    figure, grid = panels(len(samples.x))
    classes = int(samples.y.max()) + 1
    for axes, x, y in zip(grid, samples.x, samples.y, strict=True):
        for at, (mark, colour) in enumerate(zip(MARKS, CLASS_COLOURS[:classes], strict=False)):
            of_class: Any = {"s": 10, "marker": mark, "color": colour, "linewidths": 0, "label": f"class {at}"}
            axes.scatter(x[y == at, 0], x[y == at, 1], **of_class)
        axes.set(xlabel="x1", ylabel="x2", xlim=limits(samples.x[..., 0], log=False)[:2],
                 ylim=limits(samples.x[..., 1], log=False)[:2])  # fmt: skip
    label_outer(grid)
    figure.suptitle(title, fontsize=8)
    legends.below(figure)
    return figure
