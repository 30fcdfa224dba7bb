"""The bytes that a tensor's numbers are made of."""

from __future__ import annotations

import torch
from torch import Tensor


def raw_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor of any type and any strides, one after another.

    A tensor of one number counts as contiguous whatever its strides are, and with strange ones cannot be viewed as
    bytes. So the stride is set.
    """
    there = tensor.detach().cpu().contiguous()
    return there.as_strided((there.numel(),), (1,)).view(torch.uint8).numpy().tobytes()
