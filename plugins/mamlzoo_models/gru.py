"""A network of gated recurrent units."""

from __future__ import annotations

from torch import nn

from mamlzoo_models.recurrent_network import RecurrentNetwork


class GRU(RecurrentNetwork):
    """Gated recurrent units read a sequence [n, length, features]; the last state gives the outputs.

      r = σ(W_r x + U_r h + b_r),   z = σ(W_z x + U_z h + b_z),
      ĥ = tanh(W x + b + r·(U h + c)),   h ← (1 − z)·ĥ + z·h,   h = 0 at the start.

    A linear layer makes the outputs of h behind the last step. Of several layers each reads the h of the one below.
    Parameters start as PyTorch's do.

    Reference: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation", EMNLP 2014, section 2.3; with the reset behind the product, as PyTorch has it.
    """

    name = "gru"

    def cell(self, inputs: int) -> nn.RNNCellBase:
        return nn.GRUCell(inputs, self.state)
