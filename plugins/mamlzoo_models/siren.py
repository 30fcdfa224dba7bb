"""A network of sines."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

import mamlzoo
from mamlzoo import Spec, option
from mamlzoo_models.input_shapes import number_count


class Siren(mamlzoo.Model):
    """A perceptron whose activation is a sine, for signals with detail: images, waves, and their derivatives.

    Inputs of any shape are flattened. With n the inputs of a layer,

      h₁ = sin(ω₀(W₁x + b₁)),   h_i = sin(ω(W_i h_{i−1} + b_i)),   f(x) = W h + b,
      W₁ ~ U(−1/n, 1/n),   all other weights ~ U(−√(6/n)/ω, √(6/n)/ω),   biases ~ U(−1/√n, 1/√n),

    so that what stands before a sine of a later layer has at the start a variance of 1 by its weights, at any depth,
    and of ω²/3n more by its biases. The inputs are to be in −1..1, for which both factors are 30 in the paper; for
    inputs that reach further choose a smaller `first-omega`, ω₀, as 30 divided by how far they reach.

    Reference: Sitzmann, Martel, Bergman, Lindell, Wetzstein, "Implicit Neural Representations with Periodic Activation
    Functions", NeurIPS 2020, section 3.2; the biases are as in their code.
    """

    name = "siren"
    exempt_from = {"works-under-vmap": "each sine of 30 x has 30 times the rounding of x; in float64 both agree"}
    hidden: tuple[int, ...] = option(
        (64, 64, 64), "sizes of the hidden layers, of which there is one or more", minimum=1
    )
    omega: float = option(30.0, "factor before the sines of all layers but the first, ω", above=0)
    first_omega: float = option(30.0, "factor before the sines of the first layer, ω₀", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hidden:
            raise mamlzoo.UsageError("model 'siren' has at least one hidden layer; give its size, as hidden 64")

    def build(self, spec: Spec) -> nn.Module:
        numbers = number_count(self, spec)
        layers: list[nn.Module] = [
            nn.Flatten(),
            _linear(numbers, self.hidden[0], 1 / numbers),
            Sine(self.first_omega),
        ]
        for before, after in pairwise(self.hidden):
            layers += [_linear(before, after, self._bound(before)), Sine(self.omega)]
        *_, last = self.hidden
        return nn.Sequential(*layers, _linear(last, spec.output_size, self._bound(last)))

    def _bound(self, inputs: int) -> float:
        return math.sqrt(6 / inputs) / self.omega


class Sine(nn.Module):
    """sin(ω·x)."""

    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: Tensor) -> Tensor:
        return (self.omega * x).sin()


def _linear(before: int, after: int, bound: float) -> nn.Linear:
    """A linear layer with weights ~ U(−bound, bound), and torch's biases."""
    linear = nn.Linear(before, after)
    nn.init.uniform_(linear.weight, -bound, bound)
    return linear
