"""The bytes that a tensor's numbers are made of."""

from __future__ import annotations

import torch
from torch import Tensor


def raw_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor of any type and any strides, one after another.

    A tensor of one number counts as contiguous whatever its strides are, and with strange ones cannot be viewed as
    bytes. So it is copied.
    """
    copy = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return copy.flatten().view(torch.uint8).numpy().tobytes()
