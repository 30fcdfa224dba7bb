"""Adaptation steps that keep no graph: the backward pass computes them again (gradient checkpointing)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp

from mamlzoo import trees
from mamlzoo.contracts.data import Batch, Fast, MetaParams
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.numeric_options import tensors_of, with_numbers
from mamlzoo.contracts.plugins import MetaAlgorithm

Function = Callable[..., tuple[Tensor, ...]]


def recomputed_step(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, fast: Fast, support: Batch) -> Fast:
    """`algorithm.adapt`, of which only inputs and φ are kept until the backward pass.

    With k steps, memory grows by k times φ and not by k times all that a step computes; time, by one more adaptation.
    """
    key = [] if learner.noise.key is None else [learner.noise.key]
    inputs = (learner.constants, meta, fast, support, key, tensors_of(algorithm))
    shape: list[Fast] = []

    def step(*leaves: Tensor) -> tuple[Tensor, ...]:
        constants, *rest, keys, numbers = trees.replace_leaves(inputs, leaves)
        noise = learner.noise.anew(*keys)  # so that the backward pass draws the same numbers
        own = replace(learner, constants=constants, recompute=False, noise=noise)
        result = with_numbers(algorithm, numbers).adapt(
            own if learner.support is None else replace(own, support=rest[-1]), *rest
        )
        if not shape:  # of the nesting alone: a tensor kept here would keep its graph
            shape.append(trees.tree_map(lambda leaf: leaf.new_empty(0), result))
        # A leaf handed through must be a tensor of its own.
        return tuple(leaf.clone() for leaf in trees.leaves(result))

    leaves: tuple[Tensor, ...] = _Recomputed.apply(step, *trees.leaves(inputs))  # type: ignore[no-untyped-call]
    return trees.replace_leaves(shape[0], leaves)


class _Recomputed(torch.autograd.Function):
    """(function, tensors …) -> function(tensors …); works under vmap."""

    generate_vmap_rule = True

    @staticmethod
    def forward(function: Function, *inputs: Tensor) -> tuple[Tensor, ...]:
        return function(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.function = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        floating = [at for at, value in enumerate(inputs) if value.is_floating_point()]

        def of_floating(*values: Tensor) -> tuple[Tensor, ...]:
            given = list(inputs)
            for at, value in zip(floating, values, strict=True):
                given[at] = value
            result: tuple[Tensor, ...] = ctx.function(*given)
            return result

        found = iter(vjp(of_floating, *(inputs[at] for at in floating))[1](gradients))
        return None, *(next(found) if at in floating else None for at in range(len(inputs)))
