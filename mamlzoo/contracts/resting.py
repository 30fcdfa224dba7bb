"""Networks as `eval()` makes them, beside the ones that train."""

from __future__ import annotations

import copy
from weakref import WeakKeyDictionary, WeakSet

from torch import nn

_AT_REST: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()
_RESTING: WeakSet[nn.Module] = WeakSet()
"""Networks that are in evaluation mode themselves."""


def at_rest(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode around the very same parameters; the network itself if it is in that mode."""
    if network in _RESTING:
        return network
    copied = _AT_REST.get(network)
    if copied is None:
        if not any(module.training for module in network.modules()):
            _RESTING.add(network)
            return network
        same = {id(leaf): leaf for leaf in (*network.parameters(), *network.buffers())}
        copied = _AT_REST[network] = copy.deepcopy(network, same).eval()
    return copied
