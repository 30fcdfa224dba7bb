"""Who draws random numbers where none may be drawn: the state of each global generator, before and after."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Generators(NamedTuple):
    """The states of the generators that everybody shares: torch's (of each device), numpy's and Python's."""

    torch: tuple[Tensor, ...]
    numpy: Any
    python: Any

    @classmethod
    def now(cls) -> Generators:
        """As they are."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        return cls((torch.random.get_rng_state(), *cuda), np.random.get_state(), random.getstate())

    def drawn_from(self) -> list[str]:
        """Those whose state is another by now, as in "torch's"; they are set back."""
        later = Generators.now()
        moved = []
        if not all(map(torch.equal, self.torch, later.torch)):
            moved.append("torch's")
            torch.random.set_rng_state(self.torch[0])
            if len(self.torch) > 1:
                torch.cuda.set_rng_state_all(list(self.torch[1:]))
        if any(not np.array_equal(one, two) for one, two in zip(self.numpy, later.numpy, strict=True)):
            moved.append("numpy's")
            np.random.set_state(self.numpy)
        if self.python != later.python:
            moved.append("Python's")
            random.setstate(self.python)
        return moved
