"""For a user's own outer loop: networks bound to a loss, and the meta-loss of a meta-batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import get_args

import torch
from torch import Tensor, nn

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, MetaParams, Spec
from mamlzoo.contracts.drawing import draws
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.noise import Noise, keys
from mamlzoo.contracts.norm_statistics import NormStatistics
from mamlzoo.contracts.plugins import MetaAlgorithm
from mamlzoo.contracts.return_values import check_meta_loss
from mamlzoo.engine.batch_norm import left_out, pure, with_trained_statistics
from mamlzoo.engine.binding import Reduction, reduce_losses, split_parameters
from mamlzoo.engine.mapping import MAPS
from mamlzoo.engine.own_loop_checks import ANY, check_meta_batch, check_values_once, judged
from mamlzoo.errors import UsageError, did_you_mean


def meta_loss(
    algorithm: MetaAlgorithm,
    learner: Learner,
    meta: MetaParams,
    episodes: Episode,
    *,
    reduction: Reduction = "mean",
    progress: float = 0.0,
    plan: str = "vmap",
    key: int | None = None,
) -> Tensor:
    """The meta-loss of a meta-batch, a scalar that `backward()` takes to θ.

    Args:
        episodes: every leaf begins with [meta-batch].
        reduction: 'mean' or 'sum' over the meta-batch.
        progress: how much of training is done, in [0, 1].
        plan: 'vmap', or 'loop' for networks that cannot be batched, such as recurrent ones.
        key: where a network or the algorithm draws random numbers, as dropout does, a whole number from which they
            follow: another one in each meta-step. Without one, 'loop' lets them come from torch's generator.

    Raises:
        UsageError: the episodes have no axis of episodes, do not fit the learner's spec or θ's dtype, or their targets
            do not fit the network's outputs; a network has a memory, or computes with tensors that θ does not hold.
    """
    now = torch.tensor(progress)
    if plan not in MAPS:
        raise UsageError(f"there is no plan '{plan}' for one meta-loss; {did_you_mean(plan, MAPS)}")
    if reduction not in get_args(Reduction):
        raise UsageError(f"there is no reduction '{reduction}'; {did_you_mean(reduction, get_args(Reduction))}")
    check_meta_batch(algorithm, episodes, meta, learner.spec)
    check_values_once(learner, episodes)

    dtype = next((leaf.dtype for leaf in trees.leaves(meta) if leaf.is_floating_point()), torch.float32)
    if key is not None:
        device = episodes.support.y.device
        episodes = replace(episodes, key=keys(key, len(episodes.support.y), device))
    elif plan == "vmap" and any(draws(module) for module in learner.networks.values()):
        raise UsageError(
            "the network draws random numbers, as dropout does, and tasks that are computed at once need their own: "
            "pass key=, a whole number that is another in each meta-step"
        )

    def one(episode: Episode) -> Tensor:
        support = episode.support if learner.norms == "support" else None
        own = replace(learner, training=True, noise=Noise(episode.key, dtype), support=support)
        return check_meta_loss(algorithm, algorithm.meta_loss(own, meta, episode, now))[0]

    losses: Tensor = MAPS[plan](one, in_dims=(0,))(episodes)
    return reduce_losses(losses, reduction)


def bind(
    algorithm: MetaAlgorithm,
    network: nn.Module | Mapping[str, nn.Module],
    loss: Callable[[Tensor, Tensor], Tensor],
    spec: Spec | None = None,
    *,
    norm_statistics: NormStatistics = "batch",
) -> tuple[Learner, MetaParams]:
    """A learner and θ for your own loop. θ holds the network's own parameters, so your optimiser trains them.

    Args:
        network: any module, or modules by the names that the algorithm wants.
        loss: (prediction, target) -> scalar. The learner's raises a UsageError for targets that do not fit the outputs.
        spec: what the data asks of the network, to which `meta_loss` then holds its episodes; only algorithms that
            classify by it need one.
        norm_statistics: whose statistics batch norms take: those of the inputs at hand, of the 'support' set, or the
            'running' ones of the network, as they are now.

    Raises:
        UsageError: the algorithm wants other networks, or one cannot be copied.
    """
    networks = {"network": network} if isinstance(network, nn.Module) else dict(network)
    spec = spec or ANY
    wanted = algorithm.networks(spec)
    if set(wanted) != set(networks):
        asked = f"networks named {', '.join(wanted)}" if wanted else "no network; give {}"
        raise UsageError(f"algorithm '{algorithm.name}' wants {asked}")
    trained = [at for module in networks.values() for at in with_trained_statistics(module)]
    if trained and norm_statistics != "running":
        warnings.warn(left_out(trained), stacklevel=2)
    # Copies of the modules around the very same parameters: the caller's norms keep their statistics.
    try:
        networks = {name: pure(module, norm_statistics, keep_parameters=True) for name, module in networks.items()}
    except UsageError as error:
        raise UsageError(f"the network {error}") from error
    params, constants = split_parameters(networks)
    meta = trees.tree_map(
        lambda leaf: leaf if leaf.requires_grad else leaf.clone().requires_grad_(), algorithm.init(params)
    )
    return Learner(networks, constants, judged(loss), spec, norms=norm_statistics), meta
