"""Data of a user's own, as lists, arrays or tensors, held against a task's spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts import inputs
from mamlzoo.contracts.data import Batch, Spec
from mamlzoo.contracts.inputs import Input
from mamlzoo.contracts.numbers_as_text import LARGEST
from mamlzoo.errors import UsageError
from mamlzoo.experiments.result import Numbers


def examples_of(x: Numbers, y: Numbers, spec: Spec) -> tuple[Batch, bool]:
    """Examples with an axis of data sets before, and whether they came with one."""
    given, several = inputs_of(x, spec)
    first = trees.leaves(given)[0]
    return Batch(given, _targets(y, first.shape, several, spec)), several


def inputs_of(values: Any, spec: Spec) -> tuple[Any, bool]:
    """Inputs [data sets, n, *input_shape], as the spec has them, and whether they came with the axis of data sets.

    Raises:
        UsageError: they are not what the spec says.
    """
    wanted = inputs.named(spec.structure)
    given = inputs.named_tensors(spec.structure, values)
    if not given:
        raise UsageError(f"x must be {inputs.described(spec.structure)}, not a {type(values).__name__}")
    found = {name: _tensor(f"x{name}", given[name], wanted[name]) for name in wanted}
    axes = {several for _, several in found.values()}
    counts = {x.shape[:2] for x, _ in found.values()}
    if len(axes) > 1 or len(counts) > 1:
        sizes = ", ".join(f"x{name} {list(np.shape(value))}" for name, value in given.items())
        raise UsageError(f"the tensors of x must be of the same examples: {sizes}")
    several = axes.pop()
    if isinstance(spec.structure, Input):
        return found[""][0], several
    parts = [x for x, _ in found.values()]
    return (
        dict(zip(spec.structure, parts, strict=True)) if isinstance(spec.structure, Mapping) else tuple(parts)
    ), several


def _tensor(name: str, values: Numbers, wanted: Input) -> tuple[Tensor, bool]:
    """One tensor of the inputs, [data sets, n, *shape], and whether it came with the axis of data sets."""
    x = _finite(name, values)
    several = x.ndim == len(wanted.shape) + 2
    x = x if several else x[None]
    if x.ndim != len(wanted.shape) + 2 or x.shape[2:] != wanted.shape:
        one, many = (", ".join(map(str, (*lead, *wanted.shape))) for lead in (("n",), ("data sets", "n")))
        raise UsageError(f"{name} must have the shape [{one}] or [{many}], not {list(np.shape(values))}")
    if not x.shape[1]:
        raise UsageError(f"{name} of shape {list(np.shape(values))} holds no example")
    if wanted.kind == "float":
        return x.float(), several
    most = 1 if wanted.kind == "bool" else (wanted.vocabulary or LARGEST) - 1
    wrong = x[(x != x.floor()) | (x < 0 if wanted.vocabulary or wanted.kind == "bool" else x < -LARGEST) | (x > most)]
    if len(wrong):
        raise UsageError(f"{name} must be {wanted}, and {wrong[0]:g} is none")
    return (x.bool() if wanted.kind == "bool" else x.long()), several


def _targets(values: Numbers, shape: torch.Size, several: bool, spec: Spec) -> Tensor:
    """Targets beside inputs [data sets, n, …]: [data sets, n, targets], or class indices [data sets, n]."""
    y = _finite("y", values)
    given = list(y.shape)
    lead = list(shape[:2] if several else shape[1:2])
    classes = spec.kind == "classification"
    right = [[*lead, *spec.target_shape]]
    if spec.target_shape == (1,):
        right.append(lead)
    if given not in right:
        wanted = " or ".join(map(str, right))
        raise UsageError(f"y must have the shape {wanted} beside x of shape {[*lead, *shape[2:]]}, not {given}")
    if not classes:
        return y.float().reshape(*shape[:2], *spec.target_shape)
    wrong = y[(y != y.floor()) | (y < 0) | (y >= spec.output_size)]
    if len(wrong):
        raise UsageError(f"y must be class indices from 0 to {spec.output_size - 1}, and {wrong[0]:g} is none")
    return y.long().reshape(*shape[:2])


def _finite(name: str, values: Numbers) -> Tensor:
    """Numbers in float64, which holds class indices too; all of them finite in float32."""
    values = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else values
    try:
        numbers = torch.tensor(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be numbers, as a list, an array or a tensor") from None
    if not numbers.float().isfinite().all():
        raise UsageError(f"{name} holds a number that is not finite in float32")
    return numbers
