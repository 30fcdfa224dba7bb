"""A learner: what an algorithm is given of a model and a task, as functions of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from mamlzoo.contracts.batchable_layers import composed
from mamlzoo.contracts.data import Batch, Params, Spec
from mamlzoo.contracts.differentiation import differentiable_twice
from mamlzoo.errors import UsageError

_NAMES: WeakKeyDictionary[nn.Module, frozenset[str]] = WeakKeyDictionary()
"""The names of a module's parameters and buffers."""
_SINGLE = "Expected more than 1 value per channel"
"""How torch begins to say that a batch norm was given a single example."""


@dataclass(frozen=True)
class Learner:
    """Networks bound to a loss, as pure functions of their parameters.

    Attributes:
        networks: the modules by name, for their structure alone.
        constants: by network, its buffers and frozen parameters.
        criterion: (prediction, target) -> scalar.
        spec: the task's spec.
        recompute: whether `mamlzoo.adapt` keeps no graph of a step and computes it again in the backward pass.
        bf16: whether networks compute in bfloat16 where torch's autocast does; parameters and outputs stay as they are.
    """

    networks: Mapping[str, nn.Module]
    constants: Mapping[str, Params]
    criterion: Callable[[Tensor, Tensor], Tensor]
    spec: Spec
    recompute: bool = False
    bf16: bool = False

    def parameter_names(self, network: str = "network") -> frozenset[str]:
        """What is to be learned of a network, by name: `predict` takes these parameters, all of them and no others."""
        module = self.networks[network]
        names = _NAMES.get(module)
        if names is None:  # to walk through a module takes a tenth of what a call of it does
            names = _NAMES[module] = frozenset(
                name for name, _ in (*module.named_parameters(), *module.named_buffers())
            )
        return names.difference(self.constants[network])

    def predict(self, params: Params, x: Tensor, network: str = "network") -> Tensor:
        """The network's output [n, output_size] for inputs [n, *input_shape].

        Raises:
            ValueError: params have other names than the network's.
            UsageError: a batch norm is given a single example.
        """
        if not isinstance(params, Mapping) or params.keys() != self.parameter_names(network):
            # torch would leave out what it does not know, and fill in what is missing.
            given = ", ".join(map(str, params)) if isinstance(params, Mapping) else type(params).__name__
            wanted = ", ".join(sorted(self.parameter_names(network)))
            raise ValueError(f"learner.predict was given parameters named {given}; the network has {wanted}")
        if self.bf16:
            with torch.autocast(x.device.type, torch.bfloat16):
                return self._output(params, x, network).to(x.dtype)
        return self._output(params, x, network)

    def _output(self, params: Params, x: Tensor, network: str) -> Tensor:
        try:
            with differentiable_twice(), composed(self.networks[network]):
                output = functional_call(self.networks[network], (params, self.constants[network]), (x,))
        except ValueError as error:
            if not str(error).startswith(_SINGLE):
                raise
            raise UsageError(
                f"network '{network}' has a batch norm, which takes the statistics of the examples that it is given, "
                "and a single example has none; give 2 or more at once, or use a layer norm or group norm"
            ) from error
        assert isinstance(output, Tensor)
        return output

    def loss(self, params: Params, batch: Batch, network: str = "network") -> Tensor:
        """The task's loss of the network on a batch, a scalar."""
        return self.criterion(self.predict(params, batch.x, network), batch.y)

    def gradient(self, params: Params, batch: Batch, network: str = "network") -> Params:
        """∂loss/∂params, itself differentiable."""
        gradient: Params = grad(lambda p: self.loss(p, batch, network))(params)
        return gradient


NETWORK_CALL = Learner._output.__code__
"""The code that calls a model's network: whose frame it is, the model's is what lies within."""
