"""Where the examples of a test episode are in the space in which an algorithm compares them, seen in a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo import tables
from mamlzoo.contracts.data import without_padding
from mamlzoo.contracts.plugins import HasEmbedding, MetaAlgorithm, Task
from mamlzoo.engine.adaptation import Adaptation
from mamlzoo.errors import UsageError
from mamlzoo.experiments.result import Result
from mamlzoo.inference import meta_parameters
from mamlzoo.inference.shown_tasks import shown_task


@dataclass(frozen=True)
class Embedding:
    """An episode's examples in a plane; where an embedding is not finite its place is NaN.

    Attributes:
        support, query: each [n, 2].
        support_class, query_class: their classes, each [n].
        wrong: whether another class is predicted of a query example, [n].
        means: of each class the mean of its support examples, [classes, 2], NaN of one that has none.
        shares: of the variance of all examples, along either axis.
    """

    title: str
    support: NDArray[np.float32]
    support_class: NDArray[np.int64]
    query: NDArray[np.float32]
    query_class: NDArray[np.int64]
    wrong: NDArray[np.bool_]
    means: NDArray[np.float32]
    shares: tuple[float, float]


def has_embedding(task: Task, algorithm: MetaAlgorithm) -> bool:
    """Whether there is a space, and classes to show in it."""
    return task.spec.kind == "classification" and isinstance(algorithm, HasEmbedding)


def embeddings(
    result: Result,
    *,
    steps: Sequence[int] = (0,),
    episode: int = 0,
    seed: int | None = None,
    task_options: Mapping[str, Any] = MappingProxyType({}),
    title: str | None = None,
) -> list[Embedding]:
    """A panel for each number of adaptation steps; arguments as for `fits.panels`.

    Raises:
        UsageError: the algorithm has no such space, the task no classes, or as `fits.panels`.
    """
    run = meta_parameters.experiment_of(result)
    if not has_embedding(run.task, run.algorithm):
        raise UsageError(
            f"algorithm '{run.algorithm.name}' has no space in which it compares examples of task '{run.task.name}'; "
            "embeddings are of classes, by an algorithm that has `embed`, as protonet"
        )
    shown = shown_task(result, episode, seed, task_options)
    drawn, meta = shown.episode(), shown.bound.meta
    support, query = map(without_padding, drawn)
    title = result.name if title is None else title

    adaptation, panels = Adaptation(shown.bound, shown.task, "loop"), dict[int, Embedding]()
    fast = adaptation.start(meta, drawn.support, drawn.key)
    for step in range(max(steps) + 1):
        if step:
            fast = adaptation.adapt(meta, fast, drawn.support, step, drawn.key)
        if step not in steps:
            continue
        embedded = [adaptation.embed(meta, fast, x, drawn.key, drawn.support)[0, 0] for x in (support.x, query.x)]
        outputs = adaptation.read(meta, fast, query.x, drawn.key, drawn.support).points[0, 0]
        plane = plane_of(torch.cat(embedded))
        known, judged = plane.places.split([len(rows) for rows in embedded])
        own = [known[support.y[0] == at].mean(0) for at in range(shown.task.spec.output_size)]
        panels[step] = Embedding(
            f"{title}\nafter {tables.count(step, 'step')}".strip() if len(steps) > 1 else title,
            known.numpy(),
            support.y[0].numpy(),
            judged.numpy(),
            query.y[0].numpy(),
            (outputs.argmax(-1) != query.y[0]).numpy(),
            torch.stack(own).numpy(),
            plane.shares,
        )
    return [panels[step] for step in steps]


class Plane(NamedTuple):
    """Rows on their first two principal components.

    Attributes:
        places: [n, 2]; NaN of rows that are not finite.
        shares: of the variance that each component has.
    """

    places: Tensor
    shares: tuple[float, float]


def plane_of(rows: Tensor) -> Plane:
    """The plane that rows [n, dimensions] vary most in.

    With U·S·Vᵀ the singular value decomposition of the rows less their mean, their places are the first two columns of
    U·S, and the shares S²/ΣS². An axis points to where V's largest number is positive.
    """
    finite = rows.isfinite().all(-1)
    places = torch.full((len(rows), 2), torch.nan)
    if not finite.any():
        return Plane(places, (0.0, 0.0))
    there = rows[finite].double()
    u, s, v = torch.linalg.svd(there - there.mean(0), full_matrices=False)
    sign = v.gather(1, v.abs().argmax(1, keepdim=True)).sign()[:, 0]
    found = torch.zeros(len(there), 2, dtype=torch.float64)
    found[:, : len(s)] = (u * s * sign)[:, :2]
    places[finite] = found.float()
    squares = torch.cat([s.square(), s.new_zeros(2)])
    first, second = (squares[:2] / squares.sum().clamp(min=torch.finfo(s.dtype).tiny)).tolist()
    return Plane(places, (first, second))
