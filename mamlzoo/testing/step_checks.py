"""Checks of what adaptation steps are, and of how a meta-loss counts them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts import options
from mamlzoo.contracts.data import Batch, Fast, MetaParams, Params
from mamlzoo.contracts.distributions import points_of
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import MetaAlgorithm
from mamlzoo.contracts.return_values import check_adapted
from mamlzoo.errors import FOREIGN
from mamlzoo.testing.bound_probes import bound_to_probe, drawn_episodes
from mamlzoo.testing.checks import check, require

COUNTS = (1, 2, 4)
"""Adaptation steps in training."""
STEPS = 4
"""Steps of an optimiser, the first of which show a correction of its bias."""


def _of_steps(algorithm: MetaAlgorithm) -> list[MetaAlgorithm]:
    """The algorithm with each of COUNTS steps in training, of the rate 0; none where it has no such options."""
    if not {"inner_lr", "inner_steps"} <= options.options_of(type(algorithm)).keys():
        return []
    try:
        return [replace(cast(Any, algorithm), inner_lr=0.0, inner_steps=count) for count in COUNTS]
    except FOREIGN:  # out of their bounds
        return []


@check("algorithm", concerns=lambda algorithm: algorithm.trains and bool(_of_steps(algorithm)))
def steps_of_rate_zero_change_nothing(algorithm: MetaAlgorithm) -> None:
    """Where steps of inner_lr = 0 leave predictions as they are, the meta-loss is the same for any `inner_steps`.

    Take the mean of losses after each step, or weights that add up to 1: of a sum the outer rate would hang on how many
    steps there are.
    """
    several = _of_steps(algorithm)
    bound, episodes = bound_to_probe(several[0]), drawn_episodes(algorithm, 1, torch.float32)
    learner, meta, episode = bound.learner, trees.index(bound.meta, 0), trees.index(episodes, 0)
    start = bound.algorithm.start(learner, meta, episode.support)
    fasts = [start, bound.algorithm.adapt(learner, meta, start, episode.support)]
    before, after = (points_of(bound.algorithm.predict(learner, meta, fast, episode.query.x)) for fast in fasts)
    if not torch.equal(before, after):  # something else is its rate
        return
    twice = [bound.algorithm.meta_loss(learner, meta, episode, torch.tensor(0.0))[0] for _ in range(2)]
    if not torch.equal(*twice):  # it is no function, which has a check of its own
        return
    for progress in (0.0, 0.5, 1.0):
        losses = []
        for bound in map(bound_to_probe, several):  # θ may hold something for each step
            theta = trees.index(bound.meta, 0)
            losses.append(bound.algorithm.meta_loss(bound.learner, theta, episode, torch.tensor(progress))[0].detach())
        same = torch.allclose(torch.stack(losses), losses[0], rtol=1e-4, atol=1e-6)
        found = " and ".join(f"{loss.item():.6g} with {steps}" for steps, loss in zip(COUNTS, losses, strict=True))
        require(same, f"at progress {progress:g} the meta-loss is {found} steps, which change nothing")


@check("algorithm", concerns=lambda algorithm: _named(algorithm) is not None)
def adapt_is_the_optimisers_step(algorithm: MetaAlgorithm) -> None:
    """As `adapts_by` says, each adaptation step is one of that torch optimiser on the support loss, in float64.

    Correct each moment's bias by the number of this step, from 1 on, and add ε where torch does: behind Adam's root.
    """
    optimiser, given = cast(tuple[type[torch.optim.Optimizer], dict[str, Any]], algorithm.adapts_by())
    bound, episodes = bound_to_probe(algorithm, dtype=torch.float64), drawn_episodes(algorithm, 1)
    learner, meta, support = bound.learner, trees.index(bound.meta, 0), trees.index(episodes, 0).support
    network, *others = learner.networks
    require(
        not others, "it adapts several networks, and a torch optimiser is compared on one; let adapts_by return None"
    )
    fast = algorithm.start(learner, meta, support)
    params = _parameters(algorithm, learner, meta, fast, network)
    params = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
    by_torch = optimiser(list(params.values()), **given)
    for step in range(1, STEPS + 1):
        _step(by_torch, learner, params, support, network)
        fast = algorithm.adapt(learner, meta, fast, support)
        found = _parameters(algorithm, learner, meta, fast, network)
        apart = max(float((found[name] - value).detach().abs().max()) for name, value in params.items())
        require(
            all(torch.allclose(found[name], value, rtol=1e-9, atol=1e-10) for name, value in params.items()),
            f"after {step} of its steps a parameter is {apart:.1e} from where torch's {optimiser.__name__} takes it",
        )


def _named(algorithm: MetaAlgorithm) -> object:
    """What it says that it adapts by; where it cannot say, the check will tell."""
    try:
        return algorithm.adapts_by()
    except FOREIGN as error:
        return error


def _step(optimiser: torch.optim.Optimizer, learner: Learner, params: Params, support: Batch, network: str) -> None:
    optimiser.zero_grad()
    loss: Tensor = learner.loss(params, support, network)
    loss.backward()
    optimiser.step()


def _parameters(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, fast: Fast, network: str) -> Params:
    return check_adapted(algorithm, learner, network, algorithm.adapted(learner, meta, fast))
