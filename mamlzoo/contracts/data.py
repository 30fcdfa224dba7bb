"""What an episode is made of: batches, their shapes, and the parameters that fit them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import Tensor

Split = Literal["train", "valid", "test"]
"""Which episodes: to train on, to choose by, or to report on."""
Params = dict[str, Tensor]
"""Named tensors of one network: what `nn.Module.named_parameters` gives."""
MetaParams = dict[str, Params]
"""θ, what is meta-trained: named groups of named tensors. Networks are groups; rates may be another."""
Fast = Any
"""φ, what adaptation makes of θ for one episode: any nesting of tensors that the algorithm likes."""


class Batch(NamedTuple):
    """Examples: `x` [n, *input_shape]; `y` [n, output_size], or class indices [n]."""

    x: Tensor
    y: Tensor


class Episode(NamedTuple):
    """One problem: a support set to adapt on, a query set to be judged on."""

    support: Batch
    query: Batch


@dataclass(frozen=True)
class Spec:
    """What a task asks of a network.

    Attributes:
        input_shape: the shape of one example's input.
        output_size: the length of one example's output vector.
        kind: 'regression' (targets [n, output_size], floating) or 'classification' (targets [n], class indices).
        test_episodes: how many different test episodes exist, where that is a small number: they are drawn all at once,
            and an evaluation never counts one twice. None: as many as are asked for.
        valid_episodes: the same of validation episodes.
    """

    input_shape: tuple[int, ...]
    output_size: int
    kind: Literal["regression", "classification"] = "regression"
    test_episodes: int | None = None
    valid_episodes: int | None = None
