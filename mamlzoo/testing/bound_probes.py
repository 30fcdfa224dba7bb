"""An algorithm bound to a small network and task, and episodes for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, Spec
from mamlzoo.contracts.distributions import points_of
from mamlzoo.contracts.noise import keys
from mamlzoo.contracts.plugins import MetaAlgorithm, Task
from mamlzoo.engine.binding import Bound, bind_seeds
from mamlzoo.testing import probes
from mamlzoo.testing.checks import require

Network = Callable[[Spec], nn.Module]
CPU = torch.device("cpu")
STEPS = 2
"""Adaptation steps, where no check asks for another number."""


def require_prediction(bound: Bound, fast: Any, episode: Episode, when: str) -> None:
    """The prediction for the query set has the right shape and is finite."""
    learner, meta, x = bound.learner, trees.index(bound.meta, 0), episode.query.x
    prediction = points_of(bound.algorithm.predict(learner, meta, fast, x))
    wanted = [len(x), learner.spec.output_size]
    got = list(prediction.shape) if isinstance(prediction, Tensor) else type(prediction).__name__
    require(got == wanted, f"{when} the prediction is {got}, not {wanted}")
    require(prediction.isfinite().all(), f"{when} the prediction is not finite")


def bound_to_probe(
    algorithm: MetaAlgorithm,
    network: Network = probes.plain,
    seeds: tuple[int, ...] = (0,),
    dtype: torch.dtype = torch.float32,
    task: Task | None = None,
) -> Bound:
    """The algorithm bound to a small network of each seed, for a task that it takes."""
    return bind_seeds(task or probes.task_for(algorithm), probes.model(network), algorithm, seeds, CPU, dtype)


def drawn_episodes(
    algorithm: MetaAlgorithm, count: int, dtype: torch.dtype = torch.float64, task: Task | None = None
) -> Episode:
    """Training episodes of that task, always the same."""
    generator = torch.Generator().manual_seed(0)
    drawn = (task or probes.task_for(algorithm)).sample(count, split="train", generator=generator)
    return replace(trees.cast(drawn, dtype, CPU), key=keys(0, count))


def drawn_episode(algorithm: MetaAlgorithm) -> Episode:
    """The first of them, in float32."""
    return trees.index(drawn_episodes(algorithm, 1, torch.float32), 0)
