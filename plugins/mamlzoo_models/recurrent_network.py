"""Networks that read a sequence by a recurrent cell, of which GRU and LSTM are two."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

import mamlzoo
from mamlzoo import Spec, option
from mamlzoo_models.input_shapes import sequence_shape


class RecurrentNetwork(mamlzoo.Model):
    """A recurrent network of a sequence [n, length, features], whose last state gives the outputs by a linear layer."""

    state: int = option(64, "numbers in the state of a layer", minimum=1)
    layers: int = option(1, "layers, each of which reads the states of the one before", minimum=1)

    @abstractmethod
    def cell(self, inputs: int) -> nn.RNNCellBase:
        """A layer's cell."""

    def build(self, spec: Spec) -> nn.Module:
        _, features = sequence_shape(self, spec)
        cells = [self.cell(features if layer == 0 else self.state) for layer in range(self.layers)]
        return Reader(cells, nn.Linear(self.state, spec.output_size))


class Reader(nn.Module):
    """Cells one above the other over the steps of a sequence, and what is made of the last state.

    They are cells, step by step, since `torch.vmap` has no rule for the fused `nn.GRU` and `nn.LSTM`.
    """

    def __init__(self, cells: list[nn.RNNCellBase], head: nn.Linear) -> None:
        super().__init__()
        self.cells, self.head = nn.ModuleList(cells), head

    def forward(self, x: Tensor) -> Tensor:
        rows = list(x.unbind(1))
        for cell in self.cells:
            state: Tensor | tuple[Tensor, Tensor] | None = None
            for at, row in enumerate(rows):
                state = cell(row, state)
                rows[at] = state if isinstance(state, Tensor) else state[0]
        outputs: Tensor = self.head(rows[-1])
        return outputs
