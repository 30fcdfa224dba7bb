"""A multi-layer perceptron of random Fourier features."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

import mamlzoo
from mamlzoo import Spec, option
from mamlzoo_models.input_shapes import number_count
from mamlzoo_models.mlp import MLP


class FourierMLP(mamlzoo.Model):
    """A multi-layer perceptron that sees its inputs as random waves, so that it learns what varies fast.

    Inputs x of any shape are flattened to d numbers and become 2m features,

      γ(x) = (cos 2πBx, sin 2πBx),   B [m, d] ~ N(0, σ²),

    of which a perceptron as `mlp` makes the outputs. B is drawn with the initial parameters of each seed and is not
    learned. σ is in waves per unit of the inputs: the kernel of the features has a length of 1/(2πσ) about. With too
    large a σ the network learns each point for itself, with too small a one nothing that is fast. The paper has its
    coordinates in 0..1, m 256, and for images σ 10.

    Reference: Tancik et al., "Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains",
    NeurIPS 2020, section 5.
    """

    name = "fourier-mlp"
    features: int = option(64, "waves, m, each a cosine and a sine", minimum=1)
    sigma: float = option(1.0, "standard deviation of their frequencies, in waves per unit of the inputs", above=0)
    hidden: tuple[int, ...] = option((40, 40), "sizes of the hidden layers", minimum=1)
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu", "elu"] = option(
        "relu", "what stands between the layers"
    )

    def build(self, spec: Spec) -> nn.Module:
        waves = Waves(number_count(self, spec), self.features, self.sigma)
        perceptron = MLP(hidden=self.hidden, activation=self.activation)  # type: ignore[call-arg]
        of_waves = replace(spec, inputs=None, input_shape=(2 * self.features,))
        return nn.Sequential(nn.Flatten(), waves, perceptron.build(of_waves))


class Waves(nn.Module):
    """Vectors [n, numbers] as cosines and sines of random frequencies, [n, 2 · features]."""

    frequencies: Tensor

    def __init__(self, numbers: int, features: int, sigma: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", sigma * torch.randn(features, numbers))

    def forward(self, x: Tensor) -> Tensor:
        angles = 2 * math.pi * nn.functional.linear(x, self.frequencies)
        return torch.cat([angles.cos(), angles.sin()], -1)
