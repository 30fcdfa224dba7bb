"""Attention of query points to a support set."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class CrossAttention(nn.Module):
    """Each query point's own weighted mean over a set, by several heads side by side.

    With q, k, v linear in queries, keys and values, of `size` / `heads` dimensions for each head,

      w = softmax over the set of q·k/√d,   output = linear in Σ w·v of all heads.

    Without biases, so that of an empty set it is 0.

    Reference: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(size, size, bias=False) for _ in range(4))

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, there: Tensor) -> Tensor:
        """Queries [n, size], of a set of m keys and values [m, size], of which some are there, [m]; [n, size]."""
        q, k, v = (self._split(rows) for rows in (self.query(queries), self.key(keys), self.value(values)))
        alike = q @ k.mT / math.sqrt(q.shape[-1])
        # The lowest number and not −∞, of which a set without anything there would make NaN.
        weights = alike.masked_fill(~there, torch.finfo(alike.dtype).min).softmax(-1).masked_fill(~there, 0)
        output: Tensor = self.out((weights @ v).transpose(0, 1).flatten(1))
        return output

    def _split(self, rows: Tensor) -> Tensor:
        """[heads, rows, size of a head]."""
        split: Tensor = rows.unflatten(-1, (self.heads, -1)).transpose(0, 1)
        return split
