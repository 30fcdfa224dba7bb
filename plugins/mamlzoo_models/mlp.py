"""The multi-layer perceptron."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from torch import nn

import mamlzoo
from mamlzoo import Spec, option

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
}


class MLP(mamlzoo.Model):
    """A multi-layer perceptron; 40-40 with ReLU is the sine benchmark's network.

    Inputs of any shape are flattened. Layers are `nn.Linear`, the activation between them and none behind the last.
    They start as PyTorch's do, weights and biases uniform within ±1/√inputs; with `init-sd` σ, weights are normal with
    that standard deviation, cut off at ±2σ, and biases 0, as in some papers' code.
    """

    name = "mlp"
    hidden: tuple[int, ...] = option((40, 40), "sizes of the hidden layers", minimum=1)
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu", "elu"] = option(
        "relu", "what stands between the layers"
    )

    init_sd: float | None = option(None, "standard deviation of the initial weights; none: PyTorch's own", above=0)

    def build(self, spec: Spec) -> nn.Module:
        sizes = [math.prod(spec.input_shape), *self.hidden, spec.output_size]
        layers: list[nn.Module] = [nn.Flatten()] if len(spec.input_shape) != 1 else []
        for before, after in pairwise(sizes):
            linear = nn.Linear(before, after)
            if self.init_sd is not None:
                nn.init.trunc_normal_(linear.weight, std=self.init_sd, a=-2 * self.init_sd, b=2 * self.init_sd)
                nn.init.zeros_(linear.bias)
            layers += [linear, ACTIVATIONS[self.activation]()]
        return nn.Sequential(*layers[:-1])
