"""The multi-layer perceptron."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

import mamlzoo
from mamlzoo import Spec, option
from mamlzoo_models.input_shapes import number_count

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
    They start as PyTorch's do, weights and biases uniform within ±1/√inputs of their layer; with `init` fan-out within
    ±1/√outputs, as in CAVIA's code for MAML; with `init-sd` σ, weights are normal with that standard deviation, cut off
    at ±2σ, and biases 0, as in some papers' code.

    `norm` stands between a layer and its activation: batch takes mean and variance of a unit over the examples, as in
    MAML's network for Omniglot, 256-128-64-64; layer of an example over the layer's units. `dropout` makes each hidden
    unit 0 with that probability in training, behind its activation, and scales the others up.

    `extra-inputs` n puts n numbers behind each input that are the same for all and start at 0. They are parameters, so
    gradients adapt them with the rest: a bias transformation of the input.
    """

    name = "mlp"
    hidden: tuple[int, ...] = option((40, 40), "sizes of the hidden layers", minimum=1)
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu", "elu"] = option(
        "relu", "what stands between the layers"
    )

    init_sd: float | None = option(None, "standard deviation of the initial weights; none: as init says", above=0)
    init: Literal["torch", "fan-out"] = option(
        "torch", "how weights and biases start: PyTorch's way, or by outputs", later=True
    )
    extra_inputs: int = option(0, "inputs that are parameters, 0 at the start", minimum=0, later=True)

    norm: Literal["none", "batch", "layer"] = option(
        "none", "what stands between a layer and its activation", later=True
    )
    dropout: float = option(0.0, "probability of a hidden unit to be left out", minimum=0, maximum=1, later=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init_sd is not None and self.init != "torch":
            raise mamlzoo.UsageError(
                f"model 'mlp' starts by init {self.init} or by init-sd {self.init_sd:g}; give one of them"
            )

    def build(self, spec: Spec) -> nn.Module:
        sizes = [number_count(self, spec) + self.extra_inputs, *self.hidden]
        layers: list[nn.Module] = [nn.Flatten()] if len(spec.input_shape) != 1 else []
        if self.extra_inputs:
            layers.append(ExtraInputs(self.extra_inputs))
        for before, after in pairwise(sizes):
            layers += [self._linear(before, after), *self._norm(after), ACTIVATIONS[self.activation]()]
            layers += [nn.Dropout(self.dropout)] if self.dropout else []
        return nn.Sequential(*layers, self._linear(sizes[-1], spec.output_size))

    def _norm(self, units: int) -> list[nn.Module]:
        if self.norm == "none":
            return []
        return [nn.BatchNorm1d(units) if self.norm == "batch" else nn.LayerNorm(units)]

    def _linear(self, before: int, after: int) -> nn.Linear:
        linear = nn.Linear(before, after)
        if self.init_sd is not None:
            nn.init.trunc_normal_(linear.weight, std=self.init_sd, a=-2 * self.init_sd, b=2 * self.init_sd)
            nn.init.zeros_(linear.bias)
        if self.init == "fan-out":
            for parameter in linear.parameters():
                nn.init.uniform_(parameter, -(after**-0.5), after**-0.5)
        return linear


class ExtraInputs(nn.Module):
    """Vectors with numbers behind them that are parameters."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(count))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.values.expand(len(x), -1)], -1)
