"""What varies by task and by meta-step: the episodes of several meta-steps, drawn ahead."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from mamlzoo.contracts.data import Episode
from mamlzoo.engine.episodes import TrainingStream


class Block(NamedTuple):
    """The episodes of several meta-steps.

    Attributes:
        episodes: every leaf begins with [meta-steps, seeds, meta-batch].
        progress: how much of training is done before each, [meta-steps].
    """

    episodes: Episode
    progress: Tensor


def blocks(stream: TrainingStream, iterations: int, first: int = 0) -> Iterator[tuple[Block, int]]:
    """The blocks that hold meta-steps first … iterations − 1, each with the number of its first meta-step."""
    for position in range(first // stream.block_length, math.ceil(iterations / stream.block_length)):
        offset = position * stream.block_length
        steps = torch.arange(offset, offset + stream.block_length, device=stream.device)
        yield Block(stream.block(position), (steps / iterations).to(stream.dtype)), offset
