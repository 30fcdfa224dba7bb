"""Inputs that are one vector an example, to which an algorithm can append something."""

from __future__ import annotations

import mamlzoo
from mamlzoo import Input, Spec


def length_of_vectors(spec: Spec, algorithm: str) -> int:
    """How many numbers an example's input has.

    Raises:
        UsageError: it is no vector of floating-point numbers.
    """
    given = spec.structure
    if not isinstance(given, Input) or len(given.shape) != 1 or given.kind != "float":
        what = str(given) if isinstance(given, Input) else "several tensors"
        raise mamlzoo.UsageError(
            f"algorithm '{algorithm}' takes inputs [n, numbers], one vector an example, and the task's are {what}; "
            "choose a task of vectors"
        )
    return given.shape[0]
