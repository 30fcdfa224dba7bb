"""Where an operation stands that torch cannot differentiate twice: the backward pass that fails does not know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mamlzoo import trees
from mamlzoo.engine.binding import Bound
from mamlzoo.explanations import lacks_derivative
from mamlzoo.interfaces import Episode


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
            learner, meta = bound.with_constants(trees.index(bound.constants, 0)), trees.index(bound.meta, 0)
            with _RaiseAt(operation, error):
                bound.algorithm.meta_loss(learner, meta, episode, torch.zeros((), device=episode.query.x.device))
        raise


class _RaiseAt(TorchFunctionMode):
    """Raises an error where a function of this name is called."""

    def __init__(self, operation: str, error: RuntimeError) -> None:
        super().__init__()
        self._operation, self._error = operation, error

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "").strip("_") == self._operation:
            raise self._error.with_traceback(None)
        return func(*args, **(kwargs or {}))
