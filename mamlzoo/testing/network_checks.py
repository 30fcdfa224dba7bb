"""Checks of meta-algorithms on networks and tasks that break careless code."""

from __future__ import annotations

import torch

from mamlzoo import trees
from mamlzoo.contracts.inner_loop import adapt
from mamlzoo.contracts.plugins import MetaAlgorithm, Task
from mamlzoo.engine.binding import sized
from mamlzoo.engine.gradients import EAGER
from mamlzoo.errors import UsageError
from mamlzoo.testing import probes
from mamlzoo.testing.bound_probes import STEPS, Network, bound_to_probe, drawn_episodes, require_prediction
from mamlzoo.testing.checks import check, require


@check("algorithm")
def other_tasks_work(algorithm: MetaAlgorithm) -> None:
    """A regression of three numbers and a classification are meta-learned, each unless it refuses such a task.

    Count on no number of outputs; sum and compare over the last axis. Where it is for one kind of task alone, let
    `networks` raise a mamlzoo.UsageError.
    """
    for task in (probes.Planes(), probes.Clusters()):
        try:
            algorithm.networks(sized(task, torch.device("cpu")))
        except UsageError:
            continue
        _works_with(algorithm, probes.plain, task)


@check("algorithm")
def frozen_parameters_stay(algorithm: MetaAlgorithm) -> None:
    """A network with a frozen parameter is meta-learned, and the parameter keeps its value.

    Take parameters from θ and φ, not from the modules: learner.networks is for their structure alone.
    """
    _works_with(algorithm, probes.frozen)


@check("algorithm")
def layers_used_twice_work(algorithm: MetaAlgorithm) -> None:
    """A network that calls one of its layers twice is meta-learned.

    Count on nothing about how often a layer is called.
    """
    _works_with(algorithm, probes.Shared)


@check("algorithm")
def unused_parameters_do_no_harm(algorithm: MetaAlgorithm) -> None:
    """A network with a parameter that no output depends on is meta-learned; the parameter's gradient is zero.

    Beware of dividing by the norm of a gradient, and of autograd.grad without allow_unused.
    """
    _works_with(algorithm, probes.unused)


@check("algorithm")
def a_silent_unit_does_no_harm(algorithm: MetaAlgorithm) -> None:
    """A ReLU network of which a unit is silent for all inputs is meta-learned; the unit's gradient is zero.

    Beware of dividing by a unit's own norm or spread, and of roots and logarithms of what may be zero.
    """
    _works_with(algorithm, probes.rectified)


@check("algorithm")
def tied_weights_work(algorithm: MetaAlgorithm) -> None:
    """A network of two layers with one weight is meta-learned; the weight is in θ once.

    Take parameters by their names in θ and φ, not by module.
    """
    _works_with(algorithm, probes.Tied)


@check("algorithm")
def a_gru_works(algorithm: MetaAlgorithm) -> None:
    """A network with a GRU is meta-learned, by the plan `loop`.

    Count on nothing about the names of parameters.
    """
    _works_with(algorithm, probes.Recurrent)


@check("algorithm")
def batch_norm_works(algorithm: MetaAlgorithm) -> None:
    """A network with a batch norm is meta-learned; it uses the statistics of the batch itself.

    Count on nothing about the shapes of parameters.
    """
    _works_with(algorithm, probes.normalised)


def _works_with(algorithm: MetaAlgorithm, network: Network, task: Task | None = None) -> None:
    """Make a meta-gradient and adapt: all must be finite, and the constants as they were. (vmap has its own check.)"""
    bound, episodes = bound_to_probe(algorithm, network, task=task), drawn_episodes(algorithm, 2, torch.float32, task)
    constants = trees.tree_map(torch.clone, bound.constants)
    if algorithm.trains:
        meta = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta)
        step = EAGER["loop"](bound, "mean", None)(
            meta, trees.tree_map(lambda leaf: leaf[None], episodes), torch.tensor(0.0)
        )
        for name, leaf in trees.named_leaves(step.gradient):
            require(leaf.isfinite().all(), f"the meta-gradient by {name} is not finite")
    episode = trees.index(episodes, 0)
    fast = adapt(algorithm, bound.learner, trees.index(bound.meta, 0), episode.support, STEPS)
    for name, leaf in trees.named_leaves(fast):
        require(leaf.isfinite().all(), f"after {STEPS} steps φ is not finite in {name or 'its one tensor'}")
    require_prediction(bound, fast, episode, f"after {STEPS} steps")
    for (name, one), two in zip(trees.named_leaves(constants), trees.leaves(bound.constants), strict=True):
        require(torch.equal(one, two), f"{name} has changed")
