"""A model with a batch norm."""

import math

from torch import nn

import mamlzoo
from mamlzoo import option


class Normed(mamlzoo.Model):
    """A perceptron with a batch norm in its middle."""

    name = "normed"
    width: int = option(16, "width of the hidden layer", minimum=1)

    def build(self, spec):
        enter, leave = nn.Linear(math.prod(spec.input_shape), self.width), nn.Linear(self.width, spec.output_size)
        return nn.Sequential(nn.Flatten(), enter, nn.BatchNorm1d(self.width), nn.Tanh(), leave)
