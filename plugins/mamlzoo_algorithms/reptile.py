"""Reptile: move the initialisation towards where training on an episode ends."""

from __future__ import annotations

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, option


class Reptile(mamlzoo.GradientDescent):
    """Move the initialisation towards where plain training on an episode ends.

    In training, φ takes k steps of minibatch gradient descent on all the episode's data, support and query together;
    the meta-loss is built for its gradient (sg, stop-gradient):

      φ₀ = θ,   φ_{t+1} = φ_t − α·∇L_{B_t}(φ_t),   meta-loss(θ) = ½·‖θ − sg(φ_k)‖²,
      ∇_θ meta-loss = θ − φ_k.

    With the outer optimiser SGD of rate ε that is the paper's update, θ ← θ + ε(φ_k − θ). Of n examples, minibatch
    B_t is `batch` of them, every (n / batch)-th one from the t-th on and going round: each example has its turn, and
    where examples lie sorted by class each minibatch still has all classes. At test φ takes full-batch steps on the
    support set.

    The authors' classification scripts take Adam's steps inside, without momentum (`inner_optimizer` adam,
    `inner_momentum` 0), and let ε fall linearly from 1 to 0 (outer SGD of rate 1, a linear schedule). Their Adam goes
    on from task to task; here it begins anew in each episode, which so remains a function of θ and its own data alone.
    They draw minibatches at random, at test too, where with no more than `batch` support points there is no difference.

    Reference: Nichol, Achiam, Schulman, "On First-Order Meta-Learning Algorithms", 2018, Algorithm 2.
    """

    name = "reptile"
    order = "surrogate"
    inner_steps: int = option(10, "minibatch steps in training, k", minimum=1)
    batch: int = option(10, "examples of a minibatch", minimum=1)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        data = episode.support.joined(episode.query)
        fast = mamlzoo.stop_gradient(self.start(learner, meta, episode.support))
        for step in range(self.inner_steps):
            fast = self.descend(fast, self.inner_gradient(learner, fast, self._minibatch(data, step)))
        fast = mamlzoo.stop_gradient(fast)
        distance = [(theta - fast[name]).square().sum() for name, theta in meta["network"].items()]
        return torch.stack(distance).sum() / 2, {"support_loss": learner.loss(fast, episode.support)}

    def _minibatch(self, data: Batch, step: int) -> Batch:
        size = len(data.y)
        if data.mask is not None:
            return self._minibatch_without_padding(data, data.mask, step)
        stride = max(1, size // self.batch)
        part = [(step + stride * at) % size for at in range(min(self.batch, size))]
        return mamlzoo.tree_map(lambda leaf: leaf[part], data)

    def _minibatch_without_padding(self, data: Batch, mask: Tensor, step: int) -> Batch:
        """The same of the examples that are there; where these are fewer than a minibatch, the rest of it is not."""
        size = mask.sum().clamp(min=1)
        at = torch.arange(min(self.batch, len(mask)), device=mask.device)
        there = mask.logical_not().to(torch.uint8).argsort(stable=True)  # those that are there first
        part = there[(step + (size // self.batch).clamp(min=1) * at) % size]
        x, y = mamlzoo.tree_map(lambda leaf: leaf[part], tuple(data))
        return Batch(x, y, at < size)
