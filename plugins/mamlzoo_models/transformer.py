"""A transformer's encoder over a sequence."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

import mamlzoo
from mamlzoo import Spec, option
from mamlzoo_models.input_shapes import sequence_shape


class Transformer(mamlzoo.Model):
    """A transformer's encoder reads a sequence [n, length, features]; the mean of its tokens gives the outputs.

    A linear layer brings each step to `width` numbers, to which its position t is added,

      p(t) = (sin tω₀, cos tω₀, sin tω₁, …),   ω_j = 10000^(−2j / width);

    then `layers` times x ← x + attention(norm(x)), x ← x + mlp(norm(x)), where the perceptron has one hidden layer of
    4·width with GELU. A linear layer makes the outputs of the norm of the mean over the steps.

    Reference: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, sections 3.1 to 3.5; the norms stand first, as
    in Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020.
    """

    name = "transformer"
    width: int = option(64, "numbers in a token; even", minimum=2)
    layers: int = option(2, "layers of attention and perceptron", minimum=1)
    heads: int = option(4, "heads of the attention; they divide the width", minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 2 or self.width % self.heads:
            fitting = math.lcm(2, self.heads) * math.ceil(self.width / math.lcm(2, self.heads))
            raise mamlzoo.UsageError(
                f"model 'transformer': a width is even and a multiple of the heads, and {self.width} is not for "
                f"{self.heads}; choose a width as {fitting}"
            )

    def build(self, spec: Spec) -> nn.Module:
        length, features = sequence_shape(self, spec)
        layers = (
            nn.TransformerEncoderLayer(
                self.width, self.heads, 4 * self.width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(self.layers)
        )
        return nn.Sequential(
            nn.Linear(features, self.width),
            Positions(length, self.width),
            *layers,
            MeanOfSteps(),
            nn.LayerNorm(self.width),
            nn.Linear(self.width, spec.output_size),
        )


class Positions(nn.Module):
    """Tokens [n, length, width] with sines of their position added."""

    positions: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        frequencies = 10_000 ** (-torch.arange(0, width, 2) / width)
        angles = torch.arange(length)[:, None] * frequencies
        self.register_buffer("positions", torch.stack([angles.sin(), angles.cos()], -1).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.positions


class MeanOfSteps(nn.Module):
    """Sequences [n, length, width] as the means of their steps."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)
