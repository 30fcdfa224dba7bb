"""Moments of meta-training at which an algorithm's meta-loss differs: most have no schedule, and one stands for all."""

from __future__ import annotations

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import MetaParams
from mamlzoo.contracts.differentiation import differentiating
from mamlzoo.contracts.plugins import MetaAlgorithm, Task
from mamlzoo.errors import FOREIGN, MamlzooError
from mamlzoo.testing.bound_probes import bound_to_probe, drawn_episodes

STAGES = (0.0, 0.5, 1.0)
"""How much of meta-training is done."""
MOVED = (0.0, 0.1, 0.5)
"""How far from θ⁰ the meta-loss is looked at, by random numbers of this standard deviation."""


@differentiating
def stages(algorithm: MetaAlgorithm, task: Task) -> list[float]:
    """Those of STAGES whose meta-loss is another function of θ than before, as far as a few θ show.

    It is the same where values and gradients have the same bits at θ⁰ and at θ farther off. One that fails there is
    another: what is wrong is said by what is asked of it.
    """
    bound = bound_to_probe(algorithm, dtype=torch.float64, task=task)
    episode = trees.index(drawn_episodes(algorithm, 1, torch.float64, task), 0)

    def shown(done: float) -> list[Tensor] | None:
        found, progress = list[Tensor](), torch.tensor(done, dtype=torch.float64)
        for far in MOVED:
            learner, meta = bound.first(episode, training=True)
            meta = _moved(meta, far)
            try:
                loss = algorithm.meta_loss(learner, meta, episode, progress)[0]
                found += [loss.detach(), *torch.autograd.grad(loss, trees.leaves(meta), materialize_grads=True)]
            except (MamlzooError, *FOREIGN):
                return None
        return found

    different, seen = list[float](), list[list[Tensor]]()
    for done in STAGES:
        now = shown(done)
        if now is None or not any(trees.equal(now, before) for before in seen):
            different.append(done)
        if now is not None:
            seen.append(now)
    return different


def _moved(meta: MetaParams, far: float) -> MetaParams:
    """θ with a random number added to each, to be differentiated by."""
    generator = torch.Generator().manual_seed(0)

    def moved(leaf: Tensor) -> Tensor:
        noise = torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype)
        return (leaf.detach() + far * noise).requires_grad_()

    return trees.tree_map(moved, meta)
