"""A network of long short-term memory."""

from __future__ import annotations

from torch import nn

from mamlzoo_models.recurrent_network import RecurrentNetwork


class LSTM(RecurrentNetwork):
    """Long short-term memory reads a sequence [n, length, features]; the last state gives the outputs.

      (i, f, o) = σ(W x + U h + b) for each of three gates,   g = tanh(W_g x + U_g h + b_g),
      c ← f·c + i·g,   h ← o·tanh(c),   h = c = 0 at the start.

    A linear layer makes the outputs of h behind the last step. Of several layers each reads the h of the one below.
    Parameters start as PyTorch's do.

    Reference: Hochreiter, Schmidhuber, "Long Short-Term Memory", Neural Computation 1997; with the forget gate of Gers,
    Schmidhuber, Cummins, "Learning to Forget", 2000.
    """

    name = "lstm"

    def cell(self, inputs: int) -> nn.RNNCellBase:
        return nn.LSTMCell(inputs, self.state)
