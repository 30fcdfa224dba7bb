"""Networks as `eval()` makes them, beside the ones that train."""

from __future__ import annotations

import copy
from weakref import WeakKeyDictionary

from torch import nn

_AT_REST: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()


def at_rest(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode around the very same parameters; the network itself if it is in that mode."""
    copied = _AT_REST.get(network)
    if copied is None:
        if not any(module.training for module in network.modules()):
            return network
        same = {id(leaf): leaf for leaf in (*network.parameters(), *network.buffers())}
        copied = _AT_REST[network] = copy.deepcopy(network, same).eval()
    return copied
