"""Batch norms in a network that is a pure function: they use the statistics of the batch itself, and keep none.

So nothing leaks from one episode into another, and results are transductive. A network's running statistics have no
part in a run: what was trained before is said to be left out, and what is given away holds none.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import replace_all_batch_norm_modules_
from torch.nn.modules.batchnorm import _BatchNorm


def without_running_statistics(network: nn.Module, keep_parameters: bool = False) -> nn.Module:
    """A copy whose batch norms use the batch's own statistics in either mode.

    Args:
        keep_parameters: whether the parameters are the very same, not copied.
    """
    kept = {id(parameter): parameter for parameter in network.parameters()} if keep_parameters else {}
    pure: nn.Module = replace_all_batch_norm_modules_(copy.deepcopy(network, cast(dict[int, object], kept)))
    return pure


def batch_norms(networks: Iterable[nn.Module]) -> list[str]:
    """The batch norms of networks, by their path in each."""
    return [name for network in networks for name, module in network.named_modules() if isinstance(module, _BatchNorm)]


def with_trained_statistics(network: nn.Module) -> list[str]:
    """The batch norms whose running statistics are not those of a new one, by their path."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, _BatchNorm) and (_differs(module.running_mean, 0) or _differs(module.running_var, 1))
    ]


def left_out(names: list[str]) -> str:
    """What is said of batch norms whose trained statistics have no part in what follows."""
    which = f"batch norm '{names[0]}'" if len(names) == 1 else f"{len(names)} batch norms ('{names[0]}' …)"
    return f"the running statistics that {which} came with are not used: batch norm uses those of the batch at hand"


def _differs(statistics: Tensor | None, new: float) -> bool:
    return statistics is not None and not torch.equal(statistics, torch.full_like(statistics, new))
