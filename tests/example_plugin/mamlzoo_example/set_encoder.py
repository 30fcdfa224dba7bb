"""An algorithm with a network of its own, that predicts a distribution and honours masks."""

import torch
from torch import nn

import mamlzoo
from mamlzoo import Gaussian, Spec, option


class SetEncoder(mamlzoo.MetaAlgorithm):
    """A conditional neural process: z = mean of g(x, y) over the support set, and y ~ N(μ(x, z), σ²(x, z)).

    Reference: Garnelo et al., "Conditional Neural Processes", ICML 2018.
    """

    name = "set-encoder"
    claims = frozenset({"complete-at-once", "log-likelihood"})
    honours_masks = True
    size: int = option(8, "numbers in z", minimum=1)

    def networks(self, spec):
        if spec.kind != "regression" or len(spec.input_shape) != 1:
            raise mamlzoo.UsageError(f"algorithm '{self.name}' takes vectors to numbers; choose such a task")
        (inputs,), (targets,) = spec.input_shape, spec.target_shape
        return {
            "encoder": lambda: nn.Sequential(nn.Linear(inputs + targets, 32), nn.ReLU(), nn.Linear(32, self.size)),
            "network": Spec((inputs + self.size,), 2 * targets),
        }

    def init(self, networks):
        return networks

    def start(self, learner, meta, support):
        rows = learner.predict(meta["encoder"], torch.cat([support.x, support.y], -1), "encoder")
        there = support.there[:, None]
        return (rows * there).sum(0) / there.sum().clamp(min=1)

    def adapt(self, learner, meta, fast, support):
        return fast

    def predict(self, learner, meta, fast, x):
        return Gaussian.of(learner.predict(meta["network"], torch.cat([x, fast.expand(len(x), -1)], -1)))

    def meta_loss(self, learner, meta, episode, progress):
        support, query = episode
        nll = -self.predict(learner, meta, self.start(learner, meta, support), query.x).log_prob(query.y)
        return (nll * query.there).sum() / query.there.sum().clamp(min=1), {}
