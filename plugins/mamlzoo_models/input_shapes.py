"""What networks of one kind of input ask for, and what is said of another kind."""

from __future__ import annotations

import math

import mamlzoo
from mamlzoo import Input, Spec

FITTING = {1: "mlp", 2: "gru, lstm or transformer", 3: "conv4 or resnet12"}
"""Models that are made for examples of so many axes."""
ANY = ("…",)
"""Axes as they come, one at least."""


def number_count(model: mamlzoo.Model, spec: Spec) -> int:
    """How many numbers an input of any shape has.

    Raises:
        UsageError: the inputs are not one tensor of numbers, or have none.
    """
    return math.prod(_shape(model, spec, "numbers", ANY))


def image_shape(model: mamlzoo.Model, spec: Spec) -> tuple[int, int, int]:
    """Channels, height and width of the images that a network is asked for.

    Raises:
        UsageError: the inputs are no images of numbers.
    """
    channels, height, width = _shape(model, spec, "images", ("channels", "height", "width"))
    return channels, height, width


def sequence_shape(model: mamlzoo.Model, spec: Spec) -> tuple[int, int]:
    """Length and features of the sequences that a network is asked for.

    Raises:
        UsageError: the inputs are no sequences of numbers.
    """
    length, features = _shape(model, spec, "sequences", ("length", "features"))
    return length, features


def _shape(model: mamlzoo.Model, spec: Spec, what: str, axes: tuple[str, ...]) -> tuple[int, ...]:
    inputs, shape = spec.structure, spec.input_shape
    of_numbers = isinstance(inputs, Input) and inputs.kind == "float"
    has_axes = bool(shape) and all(shape)
    if of_numbers and has_axes and (axes == ANY or len(shape) == len(axes)):
        return shape
    fitting = f"model {FITTING.get(len(shape), 'mlp')}" if has_axes else "another task"
    raise mamlzoo.UsageError(
        f"model '{model.name}' takes {what}, [n, {', '.join(axes)}], and the inputs are "
        f"{inputs if isinstance(inputs, Input) else 'several tensors'}; "
        f"choose {fitting if of_numbers else 'a network of your own'}"
    )
