"""Meta-training as a generator: it yields records, prints nothing, and returns θ."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mamlzoo import trees
from mamlzoo.engine.arithmetic import computing
from mamlzoo.engine.steps import Block, Measured, Steps, joined
from mamlzoo.engine.streams import TrainingStream
from mamlzoo.interfaces import MetaParams

RECORDS = 500
"""About how many records a whole training yields."""


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


def train(stream: TrainingStream, steps: Steps, iterations: int) -> Generator[TrainingRecord, None, MetaParams]:
    """Train θ for every seed at once, for `iterations` meta-steps.

    A seed whose meta-loss is not finite is marked as diverged from that meta-step on; the others go on untouched. When
    none is left, training ends early.
    """
    every = max(1, iterations // RECORDS)
    diverged: dict[int, int] = {}
    recent: list[Measured] = []
    for block, offset in blocks(stream, iterations):
        last = min(len(block.progress), iterations - offset)
        first = 0
        while first < last and len(diverged) < len(stream.seeds):
            until = min(last, first + every - (offset + first) % every)
            with computing(steps.threads):
                recent.append(steps.advance(block, first, until))
            first = until
            if (offset + until) % every == 0 or offset + until == iterations:
                record = _record(offset + until, joined(recent), diverged, steps.optimizer.theta)
                yield record
                diverged, recent = record.diverged, []
        if len(diverged) == len(stream.seeds):
            break
    return trees.tree_map(torch.clone, trees.stop_gradient(steps.optimizer.meta))


def blocks(stream: TrainingStream, iterations: int) -> Iterator[tuple[Block, int]]:
    """The blocks that hold meta-steps 0 … iterations − 1, each with the number of its first meta-step."""
    for position in range(math.ceil(iterations / stream.block_length)):
        offset = position * stream.block_length
        steps = torch.arange(offset, offset + stream.block_length, device=stream.device)
        yield Block(stream.block(position), (steps / iterations).to(stream.dtype)), offset


def _record(step: int, recent: Measured, diverged: dict[int, int], theta: torch.Tensor) -> TrainingRecord:
    """Looked at only now and then: reading a tensor's value waits for the device."""
    losses, logs = trees.tree_map(lambda leaf: leaf.double().cpu(), recent)  # [steps, seeds]
    finite = torch.isfinite(losses)
    first = step - len(losses)
    bad = [seed for seed in range(finite.shape[1]) if not finite[:, seed].all()]
    new = {seed: first + int(finite[:, seed].long().argmin()) for seed in bad}
    # The last update may have broken θ without a loss after it to tell.
    whole = torch.isfinite(theta).all(1).tolist()
    broken = {seed: step - 1 for seed, is_whole in enumerate(whole) if not is_whole}
    means = trees.tree_map(lambda leaf: leaf.mean(0), (losses, logs))
    found = broken | new | diverged
    return TrainingRecord(step, means[0].numpy(), {name: log.numpy() for name, log in means[1].items()}, found)
