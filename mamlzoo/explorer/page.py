"""A page on which results adapt, whole in itself: no request to anywhere, and no script but its own."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import mamlzoo
from mamlzoo import files
from mamlzoo.comparisons.comparison import Comparison
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
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
script-src 'sha256-{digest}'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}</main>
<footer>mamlzoo {version}</footer>
<script type="application/json" id="document">{document}</script>
<script>{script}</script>
</body>
</html>
"""


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
    if path.suffix.lower() != ".html":
        raise UsageError(f"{path} must end in .html")
    text = page(results, episode=episode, seed=seed, steps=steps)
    with files.named_in_refusal(path), files.whole(path) as file:
        file.write(text.encode("utf-8", "replace"))


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
            "which is what a page can show"
        )
    return _written(document)


def _written(document: dict[str, Any]) -> str:
    kind = document["kind"]
    script = "\n" + "".join(_own(name) for name in SCRIPTS[kind])
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return PAGE.format(
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        title=escape(f"{document['task']}: adapt it yourself"),
        style=_own("explorer.css"),
        body=_own(f"{kind}.html"),
        version=escape(mamlzoo.__version__),
        document=text,
        script=script,
    )


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
