"""What varies by task and by meta-step: the episodes and the rates of several meta-steps, made ahead."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mamlzoo.contracts.data import Episode
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.schedules import CONSTANT, Schedule, rates


class Block(NamedTuple):
    """The episodes of several meta-steps, and the rates to make them with.

    Attributes:
        episodes: every leaf begins with [meta-steps, seeds, meta-batch].
        progress: how much of training is done before each, [meta-steps].
        rates: of the outer loop, in each, [meta-steps, groups of parameters]; float64, on the CPU.
    """

    episodes: Episode
    progress: Tensor
    rates: Tensor


def blocks(
    stream: TrainingStream, iterations: int, lrs: Sequence[float], schedule: Schedule = CONSTANT, first: int = 0
) -> Iterator[tuple[Block, int]]:
    """The blocks that hold meta-steps first … iterations − 1, each with the number of its first meta-step.

    Args:
        lrs: the outer optimiser's.
    """
    for position in range(first // stream.block_length, math.ceil(iterations / stream.block_length)):
        offset = position * stream.block_length
        end = offset + stream.block_length
        steps = torch.arange(offset, end, device=stream.device)
        now = rates(lrs, schedule, iterations, offset, end)
        yield Block(stream.block(position), (steps / iterations).to(stream.dtype), now), offset
