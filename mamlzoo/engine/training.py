"""Meta-training as a generator: it yields records and where it stands, prints nothing, and can go on from anywhere."""

from __future__ import annotations

import copy
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mamlzoo import trees
from mamlzoo.contracts.data import MetaParams
from mamlzoo.engine.blocks import Block, blocks
from mamlzoo.engine.cpu import computing
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.schedules import CONSTANT, Schedule
from mamlzoo.engine.steps import Measured, Piece, Steps, joined
from mamlzoo.tables import count, number

RECORDS = 500
"""About how many records a whole training yields."""
PIECE = 0.25
"""Seconds of meta-steps after which training says where it stands: so soon it can be stopped or written down."""


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

    def __repr__(self) -> str:
        logs = [f"{name} {number(float(values.mean()))}" for name, values in self.logs.items()]
        told = [f"meta-loss {number(float(self.losses.mean()))}", *logs]
        if len(self.losses) > 1:
            told.append(f"means of {count(len(self.losses), 'seed')}")
        if self.diverged:
            told.append(f"{len(self.diverged)} diverged")
        return f"meta-step {self.step}: {', '.join(told)}"


@dataclass(frozen=True, repr=False)
class TrainingState:
    """Where training stands: all that the meta-steps to come depend on, besides the experiment itself.

    Attributes:
        step: meta-steps done.
        meta: θ.
        optimizer: the state of the outer optimiser, as `OuterOptimizer.saved` gives it.
        recent: what was measured since the last record; None right after one.
        diverged: as in a record.
        average: of θ over meta-steps; None where none is kept.
    """

    step: int
    meta: MetaParams
    optimizer: Sequence[Mapping[int, Mapping[str, Any]]] = ()
    recent: Measured | None = None
    diverged: Mapping[int, int] = field(default_factory=dict)
    average: MetaParams | None = None

    def __repr__(self) -> str:
        return f"training at meta-step {self.step}"

    @property
    def judged(self) -> MetaParams:
        """The θ that is validated, tested and used: the average where one is kept, else θ itself."""
        return self.meta if self.average is None else self.average


def train(
    stream: TrainingStream,
    steps: Steps,
    iterations: int,
    schedule: Schedule = CONSTANT,
    *,
    start: TrainingState | None = None,
    pauses: Sequence[int] = (),
) -> Generator[TrainingRecord | TrainingState, None, TrainingState]:
    """Train θ for every seed at once, until `iterations` meta-steps are made.

    A seed whose meta-loss is not finite is marked as diverged from that meta-step on; the others go on untouched. When
    none is left, training ends early.

    After every piece of work it yields a state. Its tensors are those that training goes on with: copy what you keep.
    In how many pieces the work is cut, and whether it goes on from a state, changes no bit of the numbers.

    Args:
        schedule: of the outer rate.
        start: go on from here; None: from the θ of `steps`.
        pauses: pieces also end at multiples of these numbers of meta-steps.
    """
    every = max(1, iterations // RECORDS)
    step, diverged, recent = 0, dict[int, int](), list[Measured]()
    if start is not None:
        step, diverged, recent = start.step, dict(start.diverged), [start.recent] if start.recent is not None else []
        steps.optimizer.restore(start.meta, start.optimizer, start.average)
    longest = 1
    for block, offset in blocks(stream, iterations, steps.optimizer.lrs, schedule, step):
        last = min(offset + len(block.progress), iterations)
        while step < last and len(diverged) < steps.seeds:
            until = min(last, step + steps.agreed(longest), *(step + pause - step % pause for pause in pauses))
            ends = [*range(step + every - step % every, until, every), until]
            began = time.perf_counter()
            with computing(steps.threads):
                pieces = _until_divergence(steps, block, offset, step, ends, diverged)
            pace = (time.perf_counter() - began) / (until - step)
            longest = max(1, min(2 * longest, int(PIECE / max(pace, 1e-9))))
            for step, piece in zip(ends[: len(pieces)], pieces, strict=True):
                recent.append(piece.measured)
                if step % every == 0 or step == iterations:
                    record = _record(step, joined(recent), diverged, piece.finite)
                    diverged, recent = record.diverged, []
                    yield record
            yield _state(step, steps, recent, diverged)
        if len(diverged) == steps.seeds:
            break
    return _state(step, steps, recent, diverged)


def _until_divergence(
    steps: Steps, block: Block, offset: int, step: int, ends: Sequence[int], diverged: Mapping[int, int]
) -> list[Piece]:
    """Meta-steps in pieces that end after these, but none after a piece in which a further seed diverges.

    Where pieces end depends on a clock, and where training ends must not. So training stands still at each divergence,
    as if it had been looked for after every piece, which several workers could do by a word a piece alone.

    Args:
        offset: the number of the block's first meta-step.
    """
    optimizer, first, numbers = steps.optimizer, step - offset, [end - offset for end in ends]
    if len(numbers) == 1:
        return steps.stretch(block, first, numbers)
    before = copy.deepcopy((trees.stop_gradient(optimizer.meta), optimizer.saved(), optimizer.average))
    pieces = steps.stretch(block, first, numbers)
    new = [at for at, piece in enumerate(pieces) if _broken(piece) - set(diverged)]
    if not new or new[0] == len(pieces) - 1:
        return pieces
    optimizer.restore(*before)
    return steps.stretch(block, first, numbers[: new[0] + 1])


def _broken(piece: Piece) -> set[int]:
    """The seeds whose meta-loss, or θ, is not finite any more."""
    whole = torch.isfinite(piece.measured.losses).all(0) & piece.finite
    return {seed for seed, is_whole in enumerate(whole.tolist()) if not is_whole}


def _state(step: int, steps: Steps, recent: list[Measured], diverged: dict[int, int]) -> TrainingState:
    optimizer, measured = steps.optimizer, joined(recent) if recent else None
    meta = trees.stop_gradient(optimizer.meta)
    return TrainingState(step, meta, optimizer.saved(), measured, diverged, optimizer.average)


def _record(step: int, recent: Measured, diverged: dict[int, int], whole: torch.Tensor) -> TrainingRecord:
    losses, logs = trees.tree_map(lambda leaf: leaf.double(), recent)  # [steps, seeds]
    finite = torch.isfinite(losses)
    first = step - len(losses)
    bad = [seed for seed in range(finite.shape[1]) if not finite[:, seed].all()]
    new = {seed: first + int(finite[:, seed].long().argmin()) for seed in bad}
    # The last update may have broken θ without a loss after it to tell.
    broken = {seed: step - 1 for seed, is_whole in enumerate(whole.tolist()) if not is_whole}
    means = trees.tree_map(lambda leaf: leaf.mean(0), (losses, logs))
    found = broken | new | diverged
    return TrainingRecord(step, means[0].numpy(), {name: log.numpy() for name, log in means[1].items()}, found)
