"""What an episode is made of: batches, their shapes, and the parameters that fit them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.inputs import Input, Inputs, described
from mamlzoo.errors import UsageError

Split = Literal["train", "valid", "test"]
"""Which episodes: to train on, to choose by, or to report on."""
Params = dict[str, Tensor]
"""Named tensors of one network: what `nn.Module.named_parameters` gives."""
MetaParams = dict[str, Params]
"""θ, what is meta-trained: named groups of named tensors. Networks are groups; rates may be another."""
Fast = Any
"""φ, what adaptation makes of θ for one episode: any nesting of tensors that the algorithm likes."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples, which unpack as `x, y = batch`.

    Attributes:
        x: inputs [n, *input_shape]; a dict or a tuple of such tensors where the spec says so.
        y: targets [n, *target_shape] of the spec: numbers, or class indices [n].
        mask: which of the n examples are there, [n] of bool; the others are padding, so that sets of several sizes
            have one shape. None: all of them.
    """

    x: Any
    y: Tensor
    mask: Tensor | None = None

    def __iter__(self) -> Iterator[Any]:
        yield self.x
        yield self.y

    def joined(self, other: Batch) -> Batch:
        """The examples of both, one set after the other."""
        both = trees.tree_map(lambda *leaves: torch.cat(leaves), Batch(self.x, self.y), Batch(other.x, other.y))
        if self.mask is None and other.mask is None:
            return both
        return Batch(both.x, both.y, torch.cat([self.there, other.there]))

    @property
    def there(self) -> Tensor:
        """The mask of one set, written out where there is none."""
        return torch.ones(len(self.y), dtype=torch.bool, device=self.y.device) if self.mask is None else self.mask


@dataclass(frozen=True, eq=False)
class Episode:
    """One problem: a support set to adapt on, a query set to be judged on. It unpacks as `support, query = episode`.

    Attributes:
        key: from which its random numbers follow (`Learner.noise`), a whole number []; the engine gives one.
    """

    support: Batch
    query: Batch
    key: Tensor | None = None

    def __iter__(self) -> Iterator[Batch]:
        yield self.support
        yield self.query

    @property
    def sets(self) -> Mapping[str, Batch]:
        """The two sets by name."""
        return {"support": self.support, "query": self.query}


def without_padding(batch: Batch) -> Batch:
    """Of the sets of a single episode, every leaf [1, n, …], the examples that are there."""
    if batch.mask is None:
        return batch
    there = batch.mask[0]
    return trees.tree_map(lambda leaf: leaf[:, there], Batch(batch.x, batch.y))


trees.register(Batch)
trees.register(Episode)


@dataclass(frozen=True)
class Spec:
    """What a task asks of a network.

    Attributes:
        input_shape: the shape of one example's input, of floating-point numbers unless `inputs` says otherwise.
        output_size: the length of one example's output vector.
        kind: 'regression' (targets [n, output_size], floating) or 'classification' (targets [n], class indices).
        target_size: the length of a regression's target, where it is not that of the output: of one number whose mean
            and variance are predicted it is 1, and the output's 2. None: it is.
        test_episodes: how many different test episodes exist, where that is a small number: they are drawn all at once,
            and an evaluation never counts one twice. None: as many as are asked for.
        valid_episodes: the same of validation episodes.
        support_size, query_size: how many examples the sets of a training episode have. The engine says it, of an
            episode that it draws, unless the task does, whose data may be gone when what was trained is used.
        inputs: inputs of another kind, as `Input((12,), vocabulary=100)`, or of several tensors: a dict or a tuple of
            Inputs. `input_shape` follows from it, and is () for several.
    """

    input_shape: tuple[int, ...] = ()
    output_size: int = 1
    kind: Literal["regression", "classification"] = "regression"
    test_episodes: int | None = None
    valid_episodes: int | None = None
    inputs: Inputs | None = None
    support_size: int | None = None
    query_size: int | None = None
    target_size: int | None = None

    def __post_init__(self) -> None:
        if self.inputs is None:
            return
        shape = self.inputs.shape if isinstance(self.inputs, Input) else ()
        if self.input_shape not in ((), shape):
            raise UsageError(
                f"a Spec has input_shape {self.input_shape} beside inputs of {described(self.inputs)}; give one of them"
            )
        object.__setattr__(self, "input_shape", shape)

    @property
    def structure(self) -> Inputs:
        """What one example's input is made of, written out: an `Input`, or a dict or a tuple of them."""
        return Input(self.input_shape) if self.inputs is None else self.inputs

    @property
    def target_shape(self) -> tuple[int, ...]:
        """The shape of one example's target: () of a class index."""
        if self.kind == "classification":
            return ()
        return (self.output_size if self.target_size is None else self.target_size,)
