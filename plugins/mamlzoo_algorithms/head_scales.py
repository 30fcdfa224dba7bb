"""Two numbers of a head that is fitted in closed form, which stay above 0 whatever an optimiser does."""

from __future__ import annotations

import math

import torch

from mamlzoo import Params


def head_scales(ridge: float, scale: float) -> Params:
    """The logarithms of a ridge weight and of what logits are multiplied by, to be meta-trained."""
    return {"log_ridge": torch.tensor(math.log(ridge)), "log_scale": torch.tensor(math.log(scale))}
