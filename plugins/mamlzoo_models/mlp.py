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

    Inputs of any shape are flattened. Layers are `nn.Linear` with PyTorch's own initialisation, the activation
    between them and none behind the last.
    """

    name = "mlp"
    hidden: tuple[int, ...] = option((40, 40), "sizes of the hidden layers", minimum=1)
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu", "elu"] = option(
        "relu", "what stands between the layers"
    )

    def build(self, spec: Spec) -> nn.Module:
        sizes = [math.prod(spec.input_shape), *self.hidden, spec.output_size]
        layers: list[nn.Module] = [nn.Flatten()] if len(spec.input_shape) != 1 else []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), ACTIVATIONS[self.activation]()]
        return nn.Sequential(*layers[:-1])


@mamlzoo.hookimpl
def mamlzoo_plugins() -> list[type[mamlzoo.Plugin]]:
    return [MLP]
