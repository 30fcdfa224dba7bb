"""Ways to compute the meta-gradients of one meta-step. All give the same numbers.

`vmap` computes all seeds and all tasks in one batched call, or in a few where a chunk bounds it. `loop` takes one task
after another, which needs the least memory: no two tasks' graphs exist at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor
from torch.func import vmap

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, MetaParams, Params
from mamlzoo.contracts.return_values import broken, check_meta_loss, check_statistics
from mamlzoo.engine.binding import Bound, Reduction
from mamlzoo.engine.carried_statistics import moves, without
from mamlzoo.engine.mapping import apart, looped
from mamlzoo.engine.outer_optimizer import clipped
from mamlzoo.engine.singular_matrices import outcomes

T = TypeVar("T")


class StepResult(NamedTuple):
    """What one meta-step found out.

    Attributes:
        gradient: ∂(reduced meta-loss)/∂θ, of θ's structure.
        losses: the meta-loss of every episode, [seeds, meta-batch].
        logs: the algorithm's own scalars, each [seeds, meta-batch].
    """

    gradient: MetaParams
    losses: Tensor
    logs: dict[str, Tensor]


Objective = tuple[Tensor, dict[str, Tensor], MetaParams]
"""The meta-loss of an episode, what is logged, and the next values of the statistics that are carried."""
Gradients = Callable[[MetaParams, Episode, Tensor], StepResult]
"""(θ, episodes with [seeds, meta-batch], progress) -> StepResult."""


class Plan(Protocol):
    """How a plan's meta-gradients are made."""

    def __call__(
        self, bound: Bound, reduction: Reduction, chunk: int | None = None, clip: float | None = None
    ) -> Gradients:
        """The meta-gradients of networks and θ.

        Args:
            chunk: tasks of a seed computed at once; None: all.
            clip: the largest norm of a task's gradient, before the reduction; None: any.
        """


def _objective(
    bound: Bound, meta: MetaParams, constants: dict[str, Params], episode: Episode, progress: Tensor
) -> Objective:
    learner = bound.learner_for(constants, meta, episode.key, episode.support, training=True)
    result = bound.algorithm.meta_loss(learner, meta, episode, progress)
    loss, logs = check_meta_loss(bound.algorithm, result)
    return loss, trees.stop_gradient(logs), check_statistics(bound.algorithm, meta, result)


def _gradient(bound: Bound, loss: Tensor, meta: MetaParams) -> MetaParams:
    if not loss.requires_grad:
        raise broken(
            bound.algorithm, ": its meta-loss does not depend on θ; say trains = False if there is nothing to train"
        )
    gradients = torch.autograd.grad(loss, trees.leaves(meta), allow_unused=True, materialize_grads=True)
    return trees.replace_leaves(meta, gradients)


def _alone(tree: MetaParams) -> MetaParams:
    """With a leading axis of one."""
    return trees.tree_map(lambda leaf: leaf[None], tree)


def _rows_clipped(gradient: MetaParams, norm: float) -> MetaParams:
    """Gradients whose leaves begin with [rows], each row that is longer than a norm made as long."""
    return trees.unravel(clipped(trees.ravel(gradient), norm), gradient)


def vmap_plan(bound: Bound, reduction: Reduction, chunk: int | None = None, clip: float | None = None) -> Gradients:
    """All seeds and tasks in one batched call, or `chunk` tasks of each seed after another.

    Where each task's gradient is clipped, each task gets a θ of its own, all of them equal: the gradient of the sum of
    their losses is then each one's own gradient.
    """

    like = trees.leaves(bound.meta)[0]
    numbers = {name: value.to(like) for name, value in bound.numbers.items()}

    def objective(
        meta: MetaParams, constants: dict[str, Params], own: dict[str, Tensor], episode: Episode, progress: Tensor
    ) -> Objective:
        return _objective(bound.with_numbers(own), meta, constants, episode, progress)

    # A single seed needs no batching of its own, and each level of vmap costs time in every operation.
    over_seeds = vmap if len(like) > 1 else looped
    shared = None if clip is None else 0
    batched = over_seeds(vmap(objective, in_dims=(shared, None, None, 0, None)), in_dims=(0, 0, 0, 0, None))

    def part_clipped(meta: MetaParams, episodes: Episode, progress: Tensor, tasks: int, norm: float) -> StepResult:
        seeds, here = episodes.support.y.shape[:2]
        own = trees.tree_map(
            lambda leaf: leaf.detach().unsqueeze(1).repeat(1, here, *[1] * (leaf.ndim - 1)).requires_grad_(), meta
        )
        losses, logs, carried = batched(own, bound.constants, numbers, episodes, progress)
        each = without(_gradient(bound, losses.sum(), own), bound.algorithm.statistics)
        rows = trees.tree_map(lambda leaf: leaf.flatten(0, 1), each)
        weight = 1.0 if reduction == "sum" else 1.0 / tasks
        gradient = trees.tree_map(
            lambda leaf: weight * leaf.unflatten(0, (seeds, here)).sum(1), _rows_clipped(rows, norm)
        )
        return StepResult(gradient | moves(meta, carried, tasks), losses.detach(), logs)

    def part(meta: MetaParams, episodes: Episode, progress: Tensor, tasks: int) -> StepResult:
        if clip is not None:
            return part_clipped(meta, episodes, progress, tasks, clip)
        losses, logs, carried = batched(meta, bound.constants, numbers, episodes, progress)
        # Seeds share nothing, so the gradient of their sum is each one's own gradient.
        total = losses.sum() if reduction == "sum" else losses.sum() / tasks
        return StepResult(_gradient(bound, total, meta) | moves(meta, carried, tasks), losses.detach(), logs)

    def gradients(meta: MetaParams, episodes: Episode, progress: Tensor) -> StepResult:
        tasks = episodes.support.y.shape[1]
        if chunk is None or chunk >= tasks:
            return part(meta, episodes, progress, tasks)
        parts = [
            part(meta, trees.index(episodes, (slice(None), slice(first, first + chunk))), progress, tasks)
            for first in range(0, tasks, chunk)
        ]
        gradient = trees.tree_map(lambda *leaves: torch.stack(leaves).sum(0), *(part.gradient for part in parts))
        measured: Any = trees.tree_map(lambda *leaves: torch.cat(leaves, 1), *(tuple(part[1:]) for part in parts))
        return StepResult(gradient, *measured)

    return gradients


def of_a_task(
    bound: Bound,
    meta: MetaParams,
    constants: dict[str, Params],
    episode: Episode,
    progress: Tensor,
    clip: float | None = None,
) -> tuple[MetaParams, Tensor, dict[str, Tensor], MetaParams]:
    """The gradient of one task and one seed, the meta-loss, what is logged, and the next values of the statistics.

    Args:
        meta, constants: of the seed, without a seed axis; θ requires gradients.
        clip: the largest norm of the gradient; None: any.
    """
    loss, logs, carried = _objective(bound, meta, constants, episode, progress)
    gradient = without(_gradient(bound, loss, meta), bound.algorithm.statistics)
    if clip is not None:
        gradient = trees.index(_rows_clipped(_alone(gradient), clip), 0)
    return gradient, loss.detach(), logs, carried


def loop_plan(bound: Bound, reduction: Reduction, chunk: int | None = None, clip: float | None = None) -> Gradients:
    """One seed and one task after another; `chunk` has no say."""

    def gradients(meta: MetaParams, episodes: Episode, progress: Tensor) -> StepResult:
        seeds, tasks = episodes.support.y.shape[:2]
        weight = 1.0 if reduction == "sum" else 1.0 / tasks
        total = trees.tree_map(torch.zeros_like, trees.stop_gradient(meta))
        rows = []
        for seed in range(seeds):
            own = trees.tree_map(lambda leaf: leaf.requires_grad_(), apart(trees.stop_gradient(meta), seed))
            constants = apart(bound.constants, seed)
            alone = bound.with_numbers({name: value[seed].item() for name, value in bound.numbers.items()})
            for task in range(tasks):
                gradient, loss, logs, carried = of_a_task(
                    alone, own, constants, apart(episodes, (seed, task)), progress, clip
                )
                trees.tree_map(lambda sum_, g, at=seed: sum_[at].add_(g, alpha=weight), total, gradient)
                for name, group in moves(
                    *trees.tree_map(lambda leaf: leaf[None], (own, _alone(carried))), tasks
                ).items():
                    trees.tree_map(lambda sum_, move, at=seed: sum_[at].add_(move[0]), total[name], group)
                rows.append((loss, logs))
        stacked = trees.tree_map(lambda leaf: leaf.unflatten(0, (seeds, tasks)), trees.stack(rows))
        return StepResult(total, *stacked)

    return gradients


def _eager(plan: Plan) -> Plan:
    """A plan of which a seed with a singular matrix diverges, where torch would raise for all seeds."""

    def made(bound: Bound, reduction: Reduction, chunk: int | None = None, clip: float | None = None) -> Gradients:
        return outcomes(plan(bound, reduction, chunk, clip))

    return made


EAGER: dict[str, Plan] = {"vmap": _eager(vmap_plan), "loop": _eager(loop_plan)}
"""The plans that compute one meta-gradient after another; `compile` is built on `vmap`."""


def in_double(bound: Bound, reduction: Reduction, clip: float | None = None) -> Gradients:
    """The same in float64, for θ and episodes of any precision: one task after another, slow, and nearer to the truth.

    Where an algorithm draws random numbers, those of float64 are others.
    """
    device = trees.leaves(bound.meta)[0].device

    def wide(tree: T) -> T:
        return trees.cast(tree, torch.float64, device)

    gradients = EAGER["loop"](replace(bound, constants=wide(bound.constants)), reduction, None, clip)

    def doubled(meta: MetaParams, episodes: Episode, progress: Tensor) -> StepResult:
        return gradients(wide(meta), wide(episodes), wide(progress))

    return doubled
