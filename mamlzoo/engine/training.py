"""Meta-training as a generator: it yields records, prints nothing, and returns θ."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mamlzoo import trees
from mamlzoo.engine.binding import Bound, Reduction
from mamlzoo.engine.optimizers import OuterOptimizer
from mamlzoo.engine.plans import plan_named
from mamlzoo.engine.streams import TrainingStream
from mamlzoo.interfaces import MetaParams

RECORDS = 500
"""About how many records a whole training yields."""


@dataclass(frozen=True)
class TrainingSettings:
    """The budget and the outer loop.

    Attributes:
        iterations: meta-steps, each one update of θ.
        reduction: of the meta-losses over the meta-batch, 'mean' or 'sum'.
        optimizer: a name of torch.optim.
        outer_lr: its learning rate.
        plan: how a meta-step is executed.
    """

    iterations: int
    reduction: Reduction
    optimizer: str
    outer_lr: float
    plan: str


class TrainingRecord(NamedTuple):
    """What happened since the record before.

    Attributes:
        step: meta-steps done.
        losses: the mean meta-loss of each seed over these meta-steps, [seeds].
        logs: likewise for each of the algorithm's own scalars.
        diverged: seed's row -> the meta-step at which its meta-loss, or θ after it, was no longer finite, so far.
    """

    step: int
    losses: NDArray[np.float64]
    logs: dict[str, NDArray[np.float64]]
    diverged: dict[int, int]


def train(
    bound: Bound, stream: TrainingStream, settings: TrainingSettings
) -> Generator[TrainingRecord, None, MetaParams]:
    """Train θ for every seed at once.

    A seed whose meta-loss is not finite is marked as diverged from that meta-step on; the others go on untouched. When
    none is left, training ends early.
    """
    meta = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta)
    if settings.iterations == 0 or not bound.algorithm.trains:
        return trees.stop_gradient(meta)
    gradients = plan_named(settings.plan)(bound, settings.reduction)
    optimizer = OuterOptimizer(settings.optimizer, settings.outer_lr, trees.leaves(meta))
    every = max(1, settings.iterations // RECORDS)
    diverged: dict[int, int] = {}
    recent = []
    for step, episodes in enumerate(stream.steps(0, settings.iterations)):
        progress = torch.tensor(step / settings.iterations, dtype=stream.dtype, device=stream.device)
        result = gradients(meta, episodes, progress)
        optimizer.step(trees.leaves(result.gradient))
        recent.append((result.losses, result.logs))
        if (step + 1) % every == 0 or step + 1 == settings.iterations:
            record = _record(step + 1, recent, diverged, meta)
            yield record
            diverged, recent = record.diverged, []
            if len(diverged) == len(stream.seeds):
                break
    return trees.stop_gradient(meta)


def _record(
    step: int,
    recent: list[tuple[torch.Tensor, dict[str, torch.Tensor]]],
    diverged: dict[int, int],
    meta: MetaParams,
) -> TrainingRecord:
    """Looked at only now and then: reading a tensor's value waits for the device."""
    losses, logs = trees.tree_map(lambda leaf: leaf.double().mean(-1).cpu(), trees.stack(recent))  # [steps, seeds]
    finite = torch.isfinite(losses)
    first = step - len(recent)
    bad = [seed for seed in range(finite.shape[1]) if not finite[:, seed].all()]
    new = {seed: first + int(finite[:, seed].long().argmin()) for seed in bad}
    # The last update may have broken θ without a loss after it to tell.
    whole = torch.stack([torch.isfinite(leaf).flatten(1).all(1) for leaf in trees.leaves(meta)]).all(0).tolist()
    broken = {seed: step - 1 for seed, is_whole in enumerate(whole) if not is_whole}
    means = trees.tree_map(lambda leaf: leaf.mean(0), (losses, logs))
    found = broken | new | diverged
    return TrainingRecord(step, means[0].numpy(), {name: log.numpy() for name, log in means[1].items()}, found)
