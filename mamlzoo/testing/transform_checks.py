"""Checks of models: that their networks can be batched, and differentiated twice."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.func import grad, vmap
from torch.nn import functional

from mamlzoo import trees
from mamlzoo.contracts.data import Batch, Episode, Params, Spec
from mamlzoo.contracts.drawing import called
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.noise import keys
from mamlzoo.engine.batching_check import SEEDS, TASKS, in_words, off_by
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.gradients import EAGER
from mamlzoo.errors import FOREIGN
from mamlzoo.testing import probes
from mamlzoo.testing.checks import check, require
from mamlzoo.testing.model_probes import EXAMPLES, STILL, inputs_for, of_networks, output_with, state_of

STEPS = (1e-6, 1e-5, 1e-7, 1e-8)
"""h of the differences of gradients, in float64; a kink may lie within one of them, and in most with many units."""


@check("model")
@of_networks
def works_under_vmap(spec: Spec, network: nn.Module) -> None:
    """Several networks on several episodes at once give what each gives alone, and have its meta-gradient.

    Use tensor operations only: no .item(), no `if` on a tensor's value, no work in place on a buffer. A layer that has
    the outputs and another meta-gradient has a wrong rule for several at once: compose it from elementary operations.
    nn.GRU and nn.LSTM cannot be batched: a model that needs them declares it in exempt_from, and runs by --plan loop.
    """
    bound = _of_seeds(spec, network)
    params, x = bound.meta["network"], torch.stack([inputs_for(spec, seed) for seed in range(SEEDS)])
    batched = vmap(bound.learner.predict)(params, x)
    looped = torch.stack([bound.learner.predict(trees.index(params, at), x[at]) for at in range(SEEDS)])
    worst = float((batched - looped).detach().abs().max())
    require(torch.allclose(batched, looped, rtol=1e-4, atol=1e-5), f"the outputs differ by up to {worst:.1e}")
    if not called(network, x[0]).requires_grad:
        return  # nothing to learn, which has a check of its own
    episodes = _episodes(spec)
    _require_batchable(bound, episodes)
    off = off_by(bound, episodes, "mean")
    require(not off, f"{in_words(off)}; --plan loop takes one after another")


@check("model")
@of_networks
def works_under_grad_of_grad(spec: Spec, network: nn.Module) -> None:
    """The second derivatives that MAML needs exist, and in float64 they are those of differences of the gradient.

    Use functions that autograd differentiates twice; no .detach() in a backward of your own.
    """
    params, constants = state_of(network)
    if not params:
        return  # which has a check of its own
    curvature, _ = _curvature(network, params, constants, inputs_for(spec))
    require(math.isfinite(curvature), "a second derivative is not finite")
    try:
        double = copy.deepcopy(network).double()
        exact, differences = _curvature(double, *state_of(double), inputs_for(spec).double())
    except Exception:  # a network that cannot do float64 has a check of its own
        return
    nearest = min(differences, key=lambda found: abs(found - exact))
    close = abs(nearest - exact) <= 1e-3 * max(abs(exact), abs(nearest)) + 1e-6
    require(close, f"along a random direction it is {exact:.6g}, by differences of the gradient {nearest:.6g}")


def _of_seeds(spec: Spec, network: nn.Module) -> Bound:
    """The network bound as for SEEDS seeds, of which each has all of θ .1 larger than the one before."""
    params, constants = state_of(network)
    seeds = [trees.tree_map(lambda leaf, at=at: leaf + 0.1 * at, params) for at in range(SEEDS)]
    meta = {"network": trees.stack(seeds)}
    learner = Learner(
        {"network": network}, {"network": constants}, functional.mse_loss, spec, training=True, noise=STILL
    )
    one_step = probes.OneStep(inner_lr=0.1)  # type: ignore[call-arg]
    return Bound(one_step, learner, meta, {"network": trees.stack([constants] * SEEDS)})


def _episodes(spec: Spec) -> Episode:
    """Random numbers as examples and as targets; every leaf begins with [SEEDS, TASKS]."""
    generator = torch.Generator().manual_seed(0)

    def batch() -> Batch:
        shapes = spec.input_shape, (spec.output_size,)
        return Batch(*(torch.randn(SEEDS, TASKS, EXAMPLES, *shape, generator=generator) for shape in shapes))

    return Episode(batch(), batch(), keys(0, SEEDS * TASKS).reshape(SEEDS, TASKS))


def _require_batchable(bound: Bound, episodes: Episode) -> None:
    """Raise what torch raises where it has the meta-gradient of one task after another, and not of several at once."""
    meta, now = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta), torch.tensor(0.0)
    try:
        EAGER["loop"](bound, "mean", None)(meta, episodes, now)
    except FOREIGN:  # second derivatives have a check of their own
        return
    EAGER["vmap"](bound, "mean", None)(meta, episodes, now)


def _curvature(network: nn.Module, params: Params, constants: Params, x: Tensor) -> tuple[float, list[float]]:
    """The second derivative of a loss along a random direction: by autograd, and by differences of the gradient."""
    generator = torch.Generator().manual_seed(0)
    direction = trees.tree_map(lambda p: torch.randn(p.shape, generator=generator, dtype=p.dtype), params)
    length = math.sqrt(sum(float(leaf.square().sum()) for leaf in trees.leaves(direction)))
    direction = trees.tree_map(lambda leaf: leaf / length, direction)

    def loss(params: Params, constants: Params) -> Tensor:
        return output_with(network, params | constants, x).square().mean()

    def slope(params: Params, constants: Params) -> Tensor:
        """The gradient's component in the direction."""
        gradient = grad(loss)(params, constants)
        return torch.stack([(g * d).sum() for g, d in zip(gradient.values(), direction.values(), strict=True)]).sum()

    rows = grad(slope)(params, constants)
    exact = sum(float((row * d).sum().detach()) for row, d in zip(rows.values(), direction.values(), strict=True))
    differences = []
    for step in STEPS:
        sides = [trees.tree_map(lambda p, d, h=h: p + h * d, params, direction) for h in (step, -step)]
        slopes = [float(slope(side, constants).detach()) for side in sides]
        differences.append((slopes[0] - slopes[1]) / (2 * step))
    return exact, differences
