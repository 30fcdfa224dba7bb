"""What a page of an episode of images holds: what is predicted, and what it would be with another support image.

Networks of images are too much for a browser, so everything is computed here: of every exchange of a support image for
one of the query's of its class, what is predicted of all query images after some numbers of steps.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo.contracts.data import Batch, Episode, without_padding
from mamlzoo.contracts.reading import reading
from mamlzoo.engine.adaptation import readings
from mamlzoo.explorer.curves import Shown
from mamlzoo.inference.shown_tasks import ShownTask, shown_task

QUERIES = 5
"""Query images of a class that are shown."""
EXCHANGES = 60
"""At most so many exchanges are computed."""
STEPS = (0, 1, 2, 3, 5, 10, 20, 50)
"""Numbers of steps that can be chosen, up to the most."""


@dataclass(frozen=True)
class _Images:
    """An episode's images: support first, then query; and which are which.

    Attributes:
        x: [n, channels, height, width].
        y: classes, [n].
        support, query: numbers of the images.
    """

    x: Tensor
    y: Tensor
    support: list[int]
    query: list[int]

    def batch(self, numbers: Sequence[int]) -> Batch:
        """Some of them, as sets of one episode."""
        return Batch(self.x[list(numbers)][None], self.y[list(numbers)][None])


def pictures(shown: Sequence[Shown], episode: int, steps: int) -> dict[str, Any]:
    """The document.

    Args:
        episode: which of the test episodes.
        steps: at most so many adaptation steps can be chosen.

    Raises:
        UsageError: a seed was not trained, or there is no such episode.
    """
    chosen = [at for at in STEPS if at <= steps]
    first = shown_task(shown[0].result, episode, shown[0].seed, {})
    images = _images(first.episode())
    exchanges = _exchanges(images)
    return {
        "kind": "pictures",
        "task": first.task.name,
        "number": episode,
        "steps": chosen,
        "images": _encoded(images.x),
        "classes": images.y.tolist(),
        "support": images.support,
        "query": images.query,
        "exchanges": exchanges,
        "learners": [_learner(one, episode, images, exchanges, chosen) for one in shown],
    }


def _images(episode: Episode) -> _Images:
    support, query = map(without_padding, episode)
    classes = query.y[0]
    kept = [int(at) for own in classes.unique() for at in (classes == own).nonzero()[:QUERIES, 0]]
    x, y = torch.cat([support.x[0], query.x[0][kept]]), torch.cat([support.y[0], classes[kept]])
    count = len(support.y[0])
    return _Images(x, y, [*range(count)], [*range(count, len(y))])


def _exchanges(images: _Images) -> list[list[int]]:
    """Pairs of a support image and a query image of its class."""
    pairs = [[one, other] for one in images.support for other in images.query if images.y[one] == images.y[other]]
    order = sorted(pairs, key=lambda pair: (images.query.index(pair[1]) % QUERIES, pair[0]))
    return sorted(order[:EXCHANGES])


def _learner(
    shown: Shown, episode: int, images: _Images, exchanges: Sequence[Sequence[int]], steps: Sequence[int]
) -> dict[str, Any]:
    """What it predicts of the query without an exchange, and with each: by numbers of steps, class and share."""
    own = shown_task(shown.result, episode, shown.seed, {})
    key = own.episode().key
    found = [_predicted(own, images.support, images.query, images, steps, key)]
    for one, other in reading(exchanges, f"exchange images of {shown.label}"):
        swap = {one: other, other: one}
        sets = [[swap.get(at, at) for at in numbers] for numbers in (images.support, images.query)]
        found.append(_predicted(own, sets[0], sets[1], images, steps, key))
    return {"name": shown.label, "predicted": found}


def _predicted(
    shown: ShownTask,
    support: Sequence[int],
    query: Sequence[int],
    images: _Images,
    steps: Sequence[int],
    key: Tensor | None,
) -> list[list[list[int]]]:
    """By number of steps, of each query image its class and how likely it is, in hundredths; −1 where not finite."""
    task, bound, of = shown.task, shown.bound, images.batch(support)
    made = readings(bound, task, bound.meta, of, images.batch(query).x, steps[-1], "loop", key)
    outputs = [made[step].points[0, 0].double() for step in steps]
    return [
        [
            [int(row.argmax()), round(100 * float(row.softmax(-1).max()))] if bool(row.isfinite().all()) else [-1, 0]
            for row in each
        ]
        for each in outputs
    ]


def _encoded(images: Tensor) -> list[str]:
    """Images as PNG files in base64, of the range that they have together."""
    low, high = float(images.min()), float(images.max())
    scaled = ((images - low) / max(high - low, 1e-9) * 255).round().to(torch.uint8)
    return [base64.b64encode(_png(each.permute(1, 2, 0).numpy())).decode() for each in scaled]


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """An image [height, width, channels] of 1 or 3 channels as a file (ISO/IEC 15948)."""
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    written = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)
