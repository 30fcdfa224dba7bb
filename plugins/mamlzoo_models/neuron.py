"""One neuron without bias."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import mamlzoo
from mamlzoo import Spec, option


class Neuron(mamlzoo.Model):
    """One neuron without bias: f(x) = θ·x.

    Its one weight starts at `weight`, so everything about it can be worked out by hand.
    """

    name = "neuron"
    weight: float = option(1.0, "the initial weight, θ⁰")

    def build(self, spec: Spec) -> nn.Module:
        if spec.input_shape != (1,) or spec.output_size != 1:
            raise mamlzoo.UsageError(
                f"model 'neuron' maps one number to one number; the task asks for inputs of shape "
                f"{list(spec.input_shape)} and {spec.output_size} outputs"
            )
        return _Neuron(self.weight)


class _Neuron(nn.Module):
    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([weight]))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x
