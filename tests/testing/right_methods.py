"""Methods of the field, small and right, in which mistakes are planted by changing a line."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from numpy.polynomial.hermite_e import hermegauss
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, option

HALF_LOG = 0.5 * math.log(2 * math.pi)
NODES, WEIGHTS = (array.tolist() for array in hermegauss(16))
"""Gauss and Hermite's: the mean of f(z), z ~ N(0, 1), is Σ weight · f(node) / √(2π)."""


class AdamSteps(mamlzoo.GradientDescent):
    """MAML whose inner steps are Adam's.

    Reference: Kingma, Ba, ICLR 2015, Algorithm 1.
    """

    name = "adam-steps"
    claims = frozenset({"query-loss"})
    inner_steps: int = option(2, "adaptation steps in training", minimum=0)
    inner_lr: float = option(0.01, "rate of an adaptation step", minimum=0)

    def adapts_by(self):
        return torch.optim.Adam, {"lr": self.inner_lr, "betas": (0.9, 0.99), "eps": 1e-8}

    def start(self, learner, meta, support):
        zeros = mamlzoo.tree_map(torch.zeros_like, meta["network"])
        return {"params": meta["network"], "m": zeros, "v": zeros, "t": torch.zeros((), dtype=support.x.dtype)}

    def adapt(self, learner, meta, fast, support):
        gradient, t = learner.gradient(fast["params"], support), fast["t"] + 1
        m = mamlzoo.tree_map(lambda m, g: 0.9 * m + 0.1 * g, fast["m"], gradient)
        v = mamlzoo.tree_map(lambda v, g: 0.99 * v + 0.01 * g.square(), fast["v"], gradient)
        params = mamlzoo.tree_map(lambda p, m, v: p - self.inner_lr * self.step(m, v, t), fast["params"], m, v)
        return {"params": params, "m": m, "v": v, "t": t}

    def step(self, m, v, t):
        return (m / (1 - 0.9**t)) / (root(v / (1 - 0.99**t)) + 1e-8)

    def predict(self, learner, meta, fast, x):
        return learner.predict(fast["params"], x)

    def adapted(self, learner, meta, fast):
        return {"network": fast["params"]}

    def meta_loss(self, learner, meta, episode, progress):
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.loss(fast["params"], episode.query), {}


def root(v):
    """√v, whose derivative at 0 is taken to be 0."""
    positive = v > 0
    return torch.where(positive, torch.where(positive, v, 1.0).sqrt(), 0.0)


class Implicit(mamlzoo.GradientDescent):
    """Implicit MAML: φ minimises L_S(φ) + λ/2·‖φ − θ‖², and the meta-gradient is (I + H/λ)⁻¹·∇L_Q(φ).

    Reference: Rajeswaran, Finn, Kakade, Levine, NeurIPS 2019, equation 6.
    """

    name = "implicit"
    order = "surrogate"
    claims = frozenset({"query-loss", "whole-derivative"})
    inner_steps: int = option(4, "adaptation steps in training", minimum=0)
    pull: float = option(100.0, "weight of the distance to θ, λ", above=0)
    terms: int = option(2, "terms of the series Σ (−H/λ)ⁱ that inverts I + H/λ", minimum=0)

    def adapt(self, learner, meta, fast, support):
        gradient, theta = learner.gradient(fast, support), meta["network"]
        return {name: p - (gradient[name] + self.pull * (p - theta[name])) / self.pull for name, p in fast.items()}

    def meta_loss(self, learner, meta, episode, progress):
        theta = meta["network"]
        fast = mamlzoo.stop_gradient(mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps))
        term = found = learner.gradient(fast, episode.query)
        for _ in range(self.terms):
            term = self.next_term(curved(learner, fast, episode.support, term))
            found = mamlzoo.tree_map(torch.add, found, term)
        loss = learner.loss(fast, episode.query)
        return loss + inner(mamlzoo.tree_map(lambda p: p - p.detach(), theta), mamlzoo.stop_gradient(found)), {}

    def next_term(self, product):
        return mamlzoo.tree_map(lambda p: -p / self.pull, product)


def curved(learner, params, batch, vector):
    """The Hessian's product with a vector."""
    return torch.func.grad(lambda p: inner(learner.gradient(p, batch), vector))(params)


def inner(one, two):
    return torch.stack([(one[name] * two[name]).sum() for name in one]).sum()


class Kernels(mamlzoo.MetaAlgorithm):
    """Deep kernel transfer: a Gaussian process with the kernel f(x)·f(x′), whose network maximises the evidence.

    Reference: Patacchiola et al., NeurIPS 2020, Algorithm 1.
    """

    name = "kernels"
    claims = frozenset({"complete-at-once", "log-likelihood"})
    noise: float = option(0.5, "standard deviation of the targets' noise", above=0)

    def networks(self, spec):
        if spec.kind != "regression" or spec.output_size != 1:
            raise mamlzoo.UsageError("algorithm 'kernels' takes regressions of one number")
        return {"network": replace(spec, output_size=4)}

    def init(self, networks):
        return networks

    def start(self, learner, meta, support):
        f = learner.predict(meta["network"], support.x)
        return torch.linalg.solve(f.T @ f + self.noise**2 * torch.eye(4, dtype=f.dtype), f.T @ support.y)

    def adapt(self, learner, meta, fast, support):
        return fast

    def predict(self, learner, meta, fast, x):
        return learner.predict(meta["network"], x) @ fast

    def meta_loss(self, learner, meta, episode, progress):
        (x, y), (query_x, query_y) = episode.support, episode.query
        x, y = torch.cat([x, query_x]), torch.cat([y, query_y])[:, 0]
        f = learner.predict(meta["network"], x)
        factor = torch.linalg.cholesky(f @ f.T + self.noise**2 * torch.eye(len(f), dtype=f.dtype))
        fit = torch.linalg.solve_triangular(factor, y[:, None], upper=False).square().sum() / 2
        return (fit + self.volume(factor) + len(y) * HALF_LOG) / len(y), {}

    def volume(self, factor):
        return factor.diagonal().log().sum()


class Process(mamlzoo.MetaAlgorithm):
    """A latent neural process of one latent number, z, whose expectations are computed by quadrature.

    Reference: Garnelo et al., "Neural Processes", 2018, equation 7.
    """

    name = "process"
    claims = frozenset({"complete-at-once"})
    noise: float = option(0.5, "standard deviation of the targets' noise", above=0)

    def networks(self, spec):
        if spec.kind != "regression" or len(spec.input_shape) != 1:
            raise mamlzoo.UsageError("algorithm 'process' takes regressions of vectors")
        (inputs,), outputs = spec.input_shape, spec.output_size
        return {
            "encoder": replace(spec, input_shape=(inputs + outputs,), output_size=2),
            "decoder": replace(spec, input_shape=(inputs + 1,)),
        }

    def init(self, networks):
        return networks

    def start(self, learner, meta, support):
        found = learner.predict(meta["encoder"], torch.cat([support.x, support.y], -1), "encoder").mean(0)
        return {"mean": found[0], "sd": 0.1 + 0.9 * torch.sigmoid(found[1])}

    def adapt(self, learner, meta, fast, support):
        return fast

    def expected(self, learner, meta, fast, x, function):
        """The mean of function(decoded x) over z."""
        found = []
        for node, weight in zip(NODES, WEIGHTS, strict=True):
            z = (fast["mean"] + fast["sd"] * node).expand(len(x), 1)
            decoded = learner.predict(meta["decoder"], torch.cat([x, z], -1), "decoder")
            found.append(weight * function(decoded))
        return torch.stack(found).sum(0) / math.sqrt(2 * math.pi)

    def predict(self, learner, meta, fast, x):
        return self.expected(learner, meta, fast, x, lambda decoded: decoded)

    def meta_loss(self, learner, meta, episode, progress):
        (x, y), (query_x, query_y) = episode.support, episode.query
        prior = self.start(learner, meta, episode.support)
        posterior = self.start(learner, meta, Batch(torch.cat([x, query_x]), torch.cat([y, query_y])))

        def surprise(decoded):
            error = (decoded - query_y) / self.noise
            return (error.square() / 2 + math.log(self.noise) + HALF_LOG).sum()

        return self.expected(learner, meta, posterior, query_x, surprise) + self.apart(posterior, prior), {}

    def apart(self, posterior, prior):
        return kl(posterior, prior)


def kl(one, two):
    """KL(one ‖ two) of two Gaussians."""
    ratio = (one["sd"].square() + (one["mean"] - two["mean"]).square()) / two["sd"].square()
    return (two["sd"] / one["sd"]).log() + ratio / 2 - 0.5


class Nearest(mamlzoo.MetaAlgorithm):
    """Prototypical networks, of class means by a product.

    Reference: Snell, Swersky, Zemel, NeurIPS 2017, Algorithm 1.
    """

    name = "nearest"
    claims = frozenset({"query-loss", "complete-at-once"})

    def networks(self, spec):
        if spec.kind != "classification":
            raise mamlzoo.UsageError("algorithm 'nearest' classifies")
        return {"network": replace(spec, output_size=4)}

    def init(self, networks):
        return networks

    def start(self, learner, meta, support):
        member = functional.one_hot(support.y, learner.spec.output_size).to(support.x.dtype)
        return member.T @ learner.predict(meta["network"], support.x) / self.counts(member)

    def counts(self, member):
        return member.sum(0).clamp(min=1)[:, None]

    def adapt(self, learner, meta, fast, support):
        return fast

    def predict(self, learner, meta, fast, x):
        return -(learner.predict(meta["network"], x)[:, None] - fast).square().sum(-1)

    def meta_loss(self, learner, meta, episode, progress):
        fast = self.start(learner, meta, episode.support)
        return learner.criterion(self.predict(learner, meta, fast, episode.query.x), episode.query.y), {}


RIGHT = (AdamSteps, Implicit, Kernels, Process, Nearest)
