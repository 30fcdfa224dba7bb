"""A page on which results adapt, whole in itself: no request to anywhere, and no script but its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mamlzoo import pages
from mamlzoo.comparisons.comparison import Comparison
from mamlzoo.contracts.inputs import described
from mamlzoo.errors import UsageError
from mamlzoo.experiments.result import Result
from mamlzoo.explorer.curves import Shown, curves
from mamlzoo.explorer.pictures import pictures
from mamlzoo.inference import fits
from mamlzoo.inference.meta_parameters import experiment_of
from mamlzoo.inference.pictures import shows
from mamlzoo.tables import listed

MOST = 6
"""Results that can be told apart on one page."""
SCRIPTS = {"curves": ("programs.js", "curves.js"), "pictures": ("pictures.js",)}


def write(results: Sequence[Result], path: Path, *, episode: int = 0, seed: int | None = None, steps: int = 10) -> None:
    """Write the page, whole or not at all; a page that is there already is replaced.

    Args:
        results: of one task: from one number to one number, where its options may differ, or of classes of images.
        episode: the test episode to begin with.
        seed: whose θ; None: of each result the first seed's that did not diverge.
        steps: at most so many adaptation steps can be chosen.

    Raises:
        UsageError: another ending than .html, a place that cannot be written, or what `page` raises.
    """
    pages.check_path(path)
    pages.write(page(results, episode=episode, seed=seed, steps=steps), path)


def page(results: Sequence[Result], *, episode: int = 0, seed: int | None = None, steps: int = 10) -> str:
    """The page as HTML5; arguments as for `write`.

    Raises:
        UsageError: the results are of several tasks, or too many; they have no episode of images in common; a task that
            no page can show; an algorithm that no page can carry; a seed or an episode that is not there.
    """
    if not 1 <= len(results) <= MOST:
        raise UsageError(f"a page shows 1 to {MOST} runs, and {len(results)} were given")
    if steps < 1:
        raise UsageError(f"steps must be at least 1, not {steps}")
    tasks = [result.config["task"] for result in results]
    names = list(dict.fromkeys(task["name"] for task in tasks))
    if len(names) > 1:
        raise UsageError(f"the runs are of several tasks, {listed(names)}; a page is of one")
    task, labels = experiment_of(results[0]).task, Comparison(list(results)).labels()
    shown = [Shown(label, result, seed) for label, result in zip(labels, results, strict=True)]
    if fits.is_curve(task):
        document = curves(shown, episode, steps)
    elif shows(task.spec):
        if any(each != tasks[0] for each in tasks):
            raise UsageError(f"the runs are of '{task.name}' with different options, so they have no episode in common")
        document = pictures(shown, episode, steps)
    else:
        raise UsageError(
            f"task '{task.name}' is neither from one number to one number nor of up to 10 classes of images, "
            f"which is what a page can show; here its inputs are {described(task.spec.structure)}"
        )
    return _written(document)


def _written(document: dict[str, Any]) -> str:
    kind = document["kind"]
    return pages.page(
        f"{document['task']}: adapt it yourself",
        _own("explorer.css"),
        _own(f"{kind}.html"),
        script="\n" + "".join(_own(name) for name in SCRIPTS[kind]),
        document=document,
    )


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
