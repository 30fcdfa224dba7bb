"""A learner: what an algorithm is given of a model and a task, as functions of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from mamlzoo import trees
from mamlzoo.contracts.batchable_layers import composed
from mamlzoo.contracts.data import Batch, Params, Spec
from mamlzoo.contracts.differentiation import differentiable_twice
from mamlzoo.contracts.distributions import Distribution
from mamlzoo.contracts.drawing import drawing
from mamlzoo.contracts.inputs import arguments_of, count_of
from mamlzoo.contracts.noise import Noise
from mamlzoo.contracts.norm_statistics import NONE_ASKED, Norms, NormStatistics, has_batch_norm
from mamlzoo.contracts.resting import at_rest
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
        criterion: (prediction, target) -> scalar, the mean over examples.
        spec: the task's spec.
        recompute: whether `mamlzoo.adapt` keeps no graph of a step and computes it again in the backward pass.
        bf16: whether networks compute in bfloat16 where torch's autocast does; parameters and outputs stay as they are.
        training: whether networks are as in `train()`, as they are within `meta_loss`, or as in `eval()`, elsewhere.
        noise: the random numbers of this episode, for networks that draw and for algorithms that do.
        norms: whose statistics batch norms take: those of the 'batch' that is predicted, of the 'support' set, or the
            'running' ones that the network came with.
        support: the episode's support set, where batch norms take its statistics.
    """

    networks: Mapping[str, nn.Module]
    constants: Mapping[str, Params]
    criterion: Callable[[Tensor, Tensor], Tensor]
    spec: Spec
    recompute: bool = False
    bf16: bool = False
    training: bool = False
    noise: Noise = field(default_factory=Noise, compare=False)
    norms: NormStatistics = "batch"
    support: Batch | None = field(default=None, compare=False)

    def parameter_names(self, network: str = "network") -> frozenset[str]:
        """What is to be learned of a network, by name: `predict` takes these parameters, all of them and no others."""
        module = self.networks[network]
        names = _NAMES.get(module)
        if names is None:  # to walk through a module takes a tenth of what a call of it does
            names = _NAMES[module] = frozenset(
                name for name, _ in (*module.named_parameters(), *module.named_buffers())
            )
        return names.difference(self.constants[network])

    def predict(
        self,
        params: Params,
        x: Any,
        network: str = "network",
        *,
        training: bool | None = None,
        mask: Tensor | None = None,
        moments: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The network's output [n, output_size] for inputs [n, *input_shape].

        Of inputs that are a dict, the network gets what its `forward` asks for, by name.

        Args:
            training: whether layers as dropout are as in `train()`; None: as the learner says.
            mask: which of the examples are there, [n], for batch norms; None: all.
            moments: what batch norms are to normalise by, as `norm_moments` gives it; None: as `norms` says.

        Raises:
            ValueError: params have other names than the network's.
            UsageError: a batch norm is given a single example, without a mask.
        """
        if not isinstance(params, Mapping) or params.keys() != self.parameter_names(network):
            # torch would leave out what it does not know, and fill in what is missing.
            given = ", ".join(map(str, params)) if isinstance(params, Mapping) else type(params).__name__
            wanted = ", ".join(sorted(self.parameter_names(network)))
            raise ValueError(f"learner.predict was given parameters named {given}; the network has {wanted}")
        module = self.networks[network]
        if not (self.training if training is None else training):
            module = at_rest(module)
        before, norms = 0, NONE_ASKED
        if not has_batch_norm(module):
            pass
        elif moments is not None:
            norms = Norms(moments=moments)
        elif self.norms == "support" and (support := self._support_beside(x, network)) is not None:
            before = len(support.y)
            others = torch.zeros(count_of(x), dtype=torch.bool, device=support.y.device)
            norms = Norms(torch.cat([support.there, others]))
            x = trees.tree_map(lambda one, two: torch.cat([one, two]), support.x, x)
        elif mask is not None:
            norms = Norms(mask)
        if self.bf16:
            own = next(iter(params.values()))
            with torch.autocast(own.device.type, torch.bfloat16):
                return self._output(module, params, x, network, norms)[before:].to(own.dtype)
        output = self._output(module, params, x, network, norms)
        return output[before:] if before else output

    def norm_moments(
        self, params: Params, x: Any, network: str = "network", *, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What the batch norms take of a batch, [channels] each: `mean.0` and `variance.0` of the first that is called.

        For statistics that an algorithm keeps, as one for each inner step.
        """
        module, seen = self.networks[network], dict[str, Tensor]()
        self._output(module if self.training else at_rest(module), params, x, network, Norms(mask, seen=seen))
        return seen

    def _support_beside(self, x: Any, network: str) -> Batch | None:
        """The support set, unless it is what is predicted.

        Raises:
            UsageError: there is none; or the network takes other inputs than the task gives.
        """
        if self.support is None:
            raise UsageError(
                "batch norms are to take the statistics of the support set, and the learner holds none; within methods "
                "of an algorithm the engine gives it"
            )
        given, known = trees.leaves(x), trees.leaves(self.support.x)
        if [leaf.shape[1:] for leaf in given] != [leaf.shape[1:] for leaf in known]:
            raise UsageError(
                f"network '{network}' takes other inputs than the task's, so its batch norms cannot take the support "
                "set's statistics; choose norm statistics 'batch', or a network without batch norm"
            )
        is_support = all(one is two for one, two in zip(given, known, strict=True))
        return None if is_support and self.support.mask is None else self.support

    def _output(self, module: nn.Module, params: Params, x: Any, network: str, norms: Norms) -> Tensor:
        arguments, named = arguments_of(module, x)
        try:
            with differentiable_twice(), composed(module, norms), drawing(module, self.noise):
                output = functional_call(module, (params, self.constants[network]), arguments, named)
        except ValueError as error:
            if not str(error).startswith(_SINGLE):
                raise
            raise UsageError(
                f"network '{network}' has a batch norm, which takes the statistics of the examples that it is given, "
                "and a single example has none; give 2 or more at once, or use a layer norm or group norm"
            ) from error
        result: Tensor = output
        return result

    def loss(self, params: Params, batch: Batch, network: str = "network") -> Tensor:
        """The task's loss of the network on a batch, a scalar."""
        return self.loss_of(self.predict(params, batch.x, network, mask=batch.mask), batch)

    def loss_of(self, prediction: Tensor | Distribution, batch: Batch) -> Tensor:
        """The task's loss of predictions [n, output_size] on a batch, a scalar.

        Of a distribution it is that of its points; or its own, as −log p, where a task reads a network's outputs as
        something of another size than a target.

        Of a batch with padding it is the mean of the losses of the examples that are there, and 0 if none is:

            Σᵢ maskᵢ·loss(predictionᵢ, yᵢ) / max(1, Σᵢ maskᵢ).
        """
        mask = batch.mask
        if mask is None:
            return self._judged(prediction, batch.y)
        # What padding was predicted must not reach the loss: there it may be anything, and 0 times infinity is not 0.
        known = trees.tree_map(_filled(mask, 1 if isinstance(prediction, Distribution) else 0), prediction)
        each = vmap(lambda one, target: self._judged(trees.index(one, None), target[None]))(known, batch.y)
        return each.masked_fill(~mask, 0).sum() / mask.sum().clamp(min=1)

    def _judged(self, prediction: Tensor | Distribution, target: Tensor) -> Tensor:
        if not isinstance(prediction, Distribution):
            return self.criterion(prediction, target)
        if self.spec.target_size in (None, self.spec.output_size):
            return self.criterion(prediction.points, target)
        return next(iter(prediction.scores(target).values())).mean()

    def gradient(self, params: Params, batch: Batch, network: str = "network") -> Params:
        """∂loss/∂params, itself differentiable."""
        gradient: Params = grad(lambda p: self.loss(p, batch, network))(params)
        return gradient

    def branch(self, number: int | None = None) -> Learner:
        """The same with random numbers of its own: those of a number of your own, or the next ones.

        What draws in a branch moves nothing outside it. By one number it is the same branch each time: so the Hessian
        of one and the same loss is computed.
        """
        return replace(self, noise=self.noise.branch(number))


def _filled(mask: Tensor, value: float) -> Callable[[Tensor], Tensor]:
    """Put a number where padding is in tensors that begin with [n]; 1 is a variance too, and 0 is none."""
    return lambda leaf: leaf.masked_fill(~mask.reshape(-1, *[1] * (leaf.ndim - 1)), value)


NETWORK_CALL = Learner._output.__code__
"""The code that calls a model's network: whose frame it is, the model's is what lies within."""
