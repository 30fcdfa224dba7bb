"""The algorithm's adaptation over seeds and episodes, without a graph of θ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Batch, Episode, Fast, MetaParams, Params
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.return_values import check_metrics
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.episodes import TestSet
from mamlzoo.engine.mapping import MAPS
from mamlzoo.engine.memory import BUDGET, allocated_by
from mamlzoo.engine.singular_matrices import outcomes
from mamlzoo.errors import MamlzooError

ROUGHLY = 0.01
"""How far predictions of several episodes at once may be from those of one after another, relative to the largest."""


def mapping_for(bound: Bound, task: Task, tests: TestSet, plan: str) -> str:
    """'loop' where that was asked for, or where test episodes cannot be batched; else 'vmap'."""
    if plan in MAPS:
        return plan
    few = trees.index(next(tests.blocks()), slice(2))
    try:
        Adaptation(bound, task, "vmap").rehearse(bound.meta, few)
        own = trees.index((bound.meta, bound.constants), slice(2))
        meta, bound = own[0], replace(bound, constants=own[1])
        batched, looped = (predictions(bound, meta, few.support, few.query.x, 1, how) for how in ("vmap", "loop"))
    except MamlzooError:
        raise
    except Exception:  # whatever it is, the loop raises it again if it is not about batching
        return "loop"
    # Some of torch's rules of batching are wrong, and by more than any rounding.
    wrong = (batched - looped).abs() > ROUGHLY * looped.abs().max()
    return "loop" if wrong.any() else "vmap"


def predictions(bound: Bound, meta: MetaParams, support: Batch, x: Tensor, steps: int, plan: str = "vmap") -> Tensor:
    """What every seed predicts at `x` after 0, 1, … `steps` steps: [steps + 1, seeds, episodes, n, output_size].

    Args:
        support: every leaf begins with [episodes].
        x: inputs [episodes, n, *input_shape].
    """
    adaptation = Adaptation(bound, None, plan)
    fast = adaptation.start(meta, support)
    rows = [adaptation.predict(meta, fast, x)]
    for _ in range(steps):
        fast = adaptation.adapt(meta, fast, support)
        rows.append(adaptation.predict(meta, fast, x))
    return torch.stack(rows)


class Adaptation:
    """The algorithm's own functions, mapped over seeds and episodes; no graph of θ is built.

    Of θ every leaf begins with [seeds], of φ with [seeds, episodes], of batches with [episodes].
    """

    def __init__(self, bound: Bound, task: Task | None, plan: str) -> None:
        self._bound, self._task = bound, task
        self._algorithm = bound.algorithm
        self._map = MAPS[plan]

    def start(self, meta: MetaParams, support: Batch) -> Fast:
        """φ before the first adaptation step."""

        def start(learner: Learner, meta: MetaParams, _: None, support: Batch) -> Fast:
            return self._algorithm.start(learner, meta, support)

        return self._over(start, meta, None, support)

    def adapt(self, meta: MetaParams, fast: Fast, support: Batch) -> Fast:
        """φ after one more adaptation step."""
        return self._over(self._algorithm.adapt, meta, fast, support)

    def predict(self, meta: MetaParams, fast: Fast, x: Tensor) -> Tensor:
        """Outputs for inputs [episodes, n, *input_shape]: [seeds, episodes, n, output_size]."""
        prediction: Tensor = self._over(self._algorithm.predict, meta, fast, x)
        return prediction

    def loss(self, meta: MetaParams, fast: Fast, batch: Batch) -> Tensor:
        """The task's loss on a batch, [seeds, episodes]."""

        def loss(learner: Learner, meta: MetaParams, fast: Fast, batch: Batch) -> Tensor:
            return learner.criterion(self._algorithm.predict(learner, meta, fast, batch.x), batch.y)

        found: Tensor = self._over(loss, meta, fast, batch)
        return found

    def measure(self, meta: MetaParams, fast: Fast, query: Batch) -> dict[str, Tensor]:
        """The task's metrics on a batch by name, each [seeds, episodes]."""

        def metrics(learner: Learner, meta: MetaParams, fast: Fast, query: Batch) -> dict[str, Tensor]:
            assert self._task is not None
            prediction = self._algorithm.predict(learner, meta, fast, query.x)
            return check_metrics(self._task, self._task.metrics(prediction, query.y))

        found: dict[str, Tensor] = self._over(metrics, meta, fast, query)
        return found

    def rehearse(self, meta: MetaParams, episodes: Episode) -> None:
        """All that an evaluation does, once."""
        fast = self.adapt(meta, self.start(meta, episodes.support), episodes.support)
        self.measure(meta, fast, episodes.query)

    def fitting_chunk(self, meta: MetaParams, episodes: Episode) -> int:
        """How many episodes of each seed may be computed at once within the memory budget."""
        one = trees.index(episodes, slice(1))
        return max(1, BUDGET // max(1, allocated_by(lambda: self.rehearse(meta, one))))

    def _over(self, function: Callable[..., Any], meta: MetaParams, fast: Fast, data: Any) -> Any:
        """Map function(learner, θ, φ, data) over seeds (θ, constants and φ) and episodes (φ and data)."""

        def one(constants: dict[str, Params], meta: MetaParams, fast: Fast, data: Any) -> Any:
            return function(self._bound.with_constants(constants), meta, fast, data)

        fast_axis = None if fast is None else 0
        episodes = self._map(one, in_dims=(None, None, fast_axis, 0))
        seeds = self._map(episodes, in_dims=(0, 0, fast_axis, None))
        with torch.no_grad():
            return outcomes(seeds)(self._bound.constants, meta, fast, data)
