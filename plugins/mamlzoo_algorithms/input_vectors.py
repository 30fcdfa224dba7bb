"""What algorithms ask of inputs with which they compute themselves."""

from __future__ import annotations

from torch import Tensor

import mamlzoo
from mamlzoo import Input, Spec


def require_numbers(algorithm: mamlzoo.MetaAlgorithm, spec: Spec, *, of_vectors: bool = False) -> None:
    """Refuse inputs that are not one tensor of floating-point numbers.

    Args:
        of_vectors: whether an example's input must be a vector too.

    Raises:
        UsageError: they are others.
    """
    inputs = spec.structure
    fits = isinstance(inputs, Input) and inputs.kind == "float"
    if not fits or (of_vectors and len(spec.input_shape) != 1):
        what = "vectors of numbers, [n, length]" if of_vectors else "one tensor of numbers"
        found = inputs if isinstance(inputs, Input) else "several tensors"
        raise mamlzoo.UsageError(
            f"algorithm '{algorithm.name}' takes inputs that are {what}, and the task's are {found}; choose "
            "another task"
        )


def flat(x: Tensor) -> Tensor:
    """Inputs [n, *shape] as rows [n, numbers]."""
    return x.reshape(len(x), -1)
