"""Batch and instance norms in a network that is a pure function: they use the inputs' own statistics, and keep none.

So nothing leaks from one episode into another; with a batch norm, whose statistics are those of the batch, results are
transductive. A network's running statistics have no part in a run, unless it is asked to take them as they are: what
was trained before is said to be left out.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from mamlzoo.contracts.data import Batch
from mamlzoo.contracts.inputs import arguments_of
from mamlzoo.contracts.norm_statistics import NormStatistics, counted_moments
from mamlzoo.engine.held_tensors import copy_of
from mamlzoo.errors import UsageError


def without_running_statistics(network: nn.Module, keep_parameters: bool = False) -> nn.Module:
    """A copy whose batch and instance norms use the inputs' own statistics in either mode.

    Args:
        keep_parameters: whether the parameters are the very same, not copied.

    Raises:
        UsageError: it cannot be copied.
    """
    pure = copy_of(network, {id(own): own for own in network.parameters()} if keep_parameters else None)
    for module in pure.modules():
        if isinstance(module, _NormBase):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return pure


def pure(network: nn.Module, norms: NormStatistics, keep_parameters: bool = False) -> nn.Module:
    """A copy that is a function of its parameters, buffers and inputs.

    Args:
        norms: whose statistics its batch and instance norms take.
        keep_parameters: as for `without_running_statistics`.

    Raises:
        UsageError: it cannot be copied.
    """
    if norms != "running":
        return without_running_statistics(network, keep_parameters)
    frozen = copy_of(network, {id(own): own for own in network.parameters()} if keep_parameters else None)
    for module in frozen.modules():
        if isinstance(module, _NormBase):
            module.eval()
    return frozen


def keep_statistics_of(network: nn.Module, examples: Batch) -> None:
    """Give batch norms the statistics of examples as their running ones, so that evaluation mode takes these.

    The variance is the biased one, by which a batch norm in training mode divides; torch itself would keep the other.

    Args:
        examples: without an axis of episodes.

    Raises:
        UsageError: a norm is called twice, so it has no statistics of its own.
    """
    found: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def look(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if module in found:
            raise UsageError("a batch norm that is called twice has two statistics, and a module keeps one")
        (x,) = given
        mean, variance = counted_moments(x, examples.there)
        found[module] = (mean.flatten(), variance.flatten())
        assert isinstance(module, _BatchNorm)
        module.running_mean, module.running_var = found[module]
        module.track_running_stats = True

    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    arguments, named = arguments_of(network, examples.x)
    with torch.no_grad():
        network.eval()(*arguments, **named)  # each norm takes what it was given a moment before
    for hook in hooks:
        hook.remove()


def batch_norms(networks: Iterable[nn.Module]) -> list[str]:
    """The batch norms of networks, by their path in each."""
    return [name for network in networks for name, module in network.named_modules() if isinstance(module, _BatchNorm)]


def with_trained_statistics(network: nn.Module) -> list[str]:
    """The norms whose running statistics are not those of a new one, by their path."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, _NormBase) and (_differs(module.running_mean, 0) or _differs(module.running_var, 1))
    ]


def left_out(names: list[str]) -> str:
    """What is said of norms whose trained statistics have no part in what follows."""
    which = f"norm '{names[0]}'" if len(names) == 1 else f"{len(names)} norms ('{names[0]}' …)"
    return f"the running statistics that {which} came with are not used: a norm uses those of the inputs at hand"


def _differs(statistics: Tensor | None, new: float) -> bool:
    return statistics is not None and not torch.equal(statistics, torch.full_like(statistics, new))
