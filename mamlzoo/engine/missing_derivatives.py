"""Where an operation stands that torch cannot differentiate twice: the backward pass that fails does not know."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mamlzoo.contracts.data import Episode
from mamlzoo.contracts.return_values import described
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.torch_errors import lacks_derivative

CALLED = {
    "cdist_forward": ("cdist",),
    "embedding_bag_dense": ("embedding_bag",),
    "cudnn_rnn": ("lstm", "gru", "rnn_tanh", "rnn_relu"),
    "thnn_fused_lstm_cell": ("lstm_cell",),
    "thnn_fused_gru_cell": ("gru_cell",),
}
"""By operation, the functions that call it, where they are called otherwise."""


@contextmanager
def located(bound: Bound, episode: Episode) -> Iterator[None]:
    """Raise an error about a missing derivative again from where the operation is called.

    Args:
        episode: one that the algorithm computes a meta-loss of.
    """
    try:
        yield
    except RuntimeError as error:
        operation = lacks_derivative(error)
        if operation is not None:
            learner, meta = bound.first(episode, training=True)
            with _RaiseAt(operation, str(error), learner.networks):
                bound.algorithm.meta_loss(learner, meta, episode, torch.zeros((), device=episode.query.y.device))
        raise


class _RaiseAt(TorchFunctionMode):
    """Raises where a function of this name is called, and says in which module of a network."""

    def __init__(self, operation: str, message: str, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._operation, self._message = operation, message
        self._names = {id(module): name for network in networks.values() for name, module in network.named_modules()}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "").strip("_") in CALLED.get(self._operation, (self._operation,)):
            raise RuntimeError(f"{self._message}{self._place()}")
        return func(*args, **(kwargs or {}))

    def _place(self) -> str:
        """As in ", in '2', a Hardsigmoid"; nothing outside a network and right in one."""
        for frame, _ in traceback.walk_stack(None):
            module = frame.f_locals.get("self")
            if id(module) in self._names:
                name = self._names[id(module)]
                return f", in '{name}', {described(module)}" if name else ""
        return ""
