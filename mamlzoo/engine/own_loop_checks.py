"""What a user's own loop gives, held against what algorithms count on, where nobody has promised it by a task.

`run` knows a task's spec. An own loop may have none, so what can be known is taken from the network's output.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import warnings
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from mamlzoo import trees
from mamlzoo.contracts import inputs
from mamlzoo.contracts.data import Batch, Episode, MetaParams, Spec
from mamlzoo.contracts.drawing import tried
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import MetaAlgorithm
from mamlzoo.engine import purity
from mamlzoo.errors import FOREIGN, UsageError

Loss = Callable[[Tensor, Tensor], Tensor]
ANY = Spec(input_shape=(), output_size=0)
"""The spec of data of which nothing is said."""
FEW = 3
"""Examples that a network is tried on."""
BEGINS = "every part of the episodes must begin with [meta-batch, examples]"
_TRIED: WeakSet[nn.Module] = WeakSet()
"""The networks that are known to be pure functions, and to have begun with labels that their spec allows."""


def judged(loss: Loss) -> Loss:
    """The same loss, which refuses what it would take for something else.

    Raises, when it is called:
        UsageError: prediction and target do not belong together, or the loss is no scalar.
    """

    tells_apart = functools.cache(functools.partial(_tells_apart, loss))

    def checked(prediction: Tensor, target: Tensor) -> Tensor:
        fault = _mismatch(prediction, target, tells_apart)
        if fault:
            raise UsageError(fault)
        value: Any = loss(prediction, target)
        if not isinstance(value, Tensor) or value.ndim:
            got = f"shape {list(value.shape)}" if isinstance(value, Tensor) else f"the type {type(value).__name__}"
            raise UsageError(f"the loss has {got}; it must be a scalar tensor: end it with .mean()")
        return value

    return checked


def check_meta_batch(algorithm: MetaAlgorithm, episodes: Any, meta: MetaParams, spec: Spec) -> Episode:
    """The episodes of one meta-step.

    Raises:
        UsageError: a part of them has no axis of episodes or none of examples, is not what the spec says, is of another
            floating-point type than θ, or has a mask that the algorithm cannot tell.
    """
    if not isinstance(episodes, Episode) or not all(isinstance(batch, Batch) for batch in episodes):
        raise UsageError(f"the episodes must be an Episode of two Batches, not {type(episodes).__name__}")
    named = [(name, leaf) for name, leaf in trees.named_leaves(episodes) if name != "key"]
    for name, leaf in named:
        if not isinstance(leaf, Tensor):
            raise UsageError(f"{name} must be a tensor, not {type(leaf).__name__}")
    sizes = {name: list(leaf.shape) for name, leaf in named}
    if len({tuple(size[:1]) for size in sizes.values()}) > 1 or any(len(size) < 2 for size in sizes.values()):
        raise UsageError(f"{BEGINS}; their shapes are {sizes}")
    theta = next((leaf.dtype for leaf in trees.leaves(meta) if leaf.is_floating_point()), None)
    for part, batch in episodes.sets.items():
        for name, leaf in trees.named_leaves(batch):
            if leaf.shape[1] != batch.y.shape[1]:
                raise UsageError(
                    f"{part}.{name} has {leaf.shape[1]} examples, and {part}.y has {batch.y.shape[1]}: {sizes}"
                )
        if batch.mask is not None:
            _check_mask(algorithm, part, batch)
        for name, leaf in trees.named_leaves({"x": batch.x}):
            if theta is not None and leaf.is_floating_point() and leaf.dtype != theta:
                raise UsageError(
                    f"{part}.{name} is {leaf.dtype}, and θ is {theta}; give it as {part}.{name}.to({theta})"
                )
        if spec != ANY:
            _check_spec(part, batch, spec)
    return episodes


def check_values_once(learner: Learner, episodes: Episode) -> None:
    """Look at the labels, and try each network on a few examples, when a learner is first seen.

    What looks at values waits for a GPU, so not every meta-step can; and within `torch.vmap` or `torch.func.grad` none
    can, so there a learner stays unseen.

    Raises:
        UsageError: there are classes that the spec has not; a network has a memory, or computes with tensors that θ
            does not hold.
    """
    networks = learner.networks
    new = {name: network for name, network in networks.items() if network not in _TRIED}
    if not new or _is_transformed():
        return
    if learner.spec.kind == "classification":
        for part, batch in episodes.sets.items():
            _check_labels(part, batch.y, learner.spec.output_size)
    for name, network in new.items():
        x, other = (trees.index(batch.x, (0, slice(FEW))) for batch in episodes)
        with contextlib.suppress(*FOREIGN), torch.no_grad():  # what it raises is raised where it is called in earnest
            tried(network, copy.deepcopy(network), x)
        fault = purity.memory_of(network, x, other) or purity.strays_in(network, x)
        if fault:
            raise UsageError(f"the network{f' {name!r}' if len(networks) > 1 else ''} {fault}")
        _TRIED.add(network)


def _check_mask(algorithm: MetaAlgorithm, part: str, batch: Batch) -> None:
    mask, sizes = batch.mask, list(batch.y.shape[:2])
    assert mask is not None
    if mask.dtype != torch.bool or list(mask.shape) != sizes:
        raise UsageError(f"{part}.mask is {mask.dtype} of shape {list(mask.shape)}; it must be torch.bool, {sizes}")
    if not algorithm.honours_masks:
        raise UsageError(
            f"algorithm '{algorithm.name}' takes sets of one size, and {part} has a mask; choose an algorithm with "
            "honours_masks = True"
        )


def _check_spec(part: str, batch: Batch, spec: Spec) -> None:
    y, lead = batch.y, list(batch.y.shape[:2])
    tensors = inputs.named_tensors(spec.structure, batch.x)
    if not tensors:
        raise UsageError(f"{part}.x is not what the spec says: {inputs.described(spec.structure)}")
    for name, wanted in inputs.named(spec.structure).items():
        shape = [*tensors[name].shape[:2], *wanted.shape]
        if list(tensors[name].shape) != shape:
            raise UsageError(
                f"{part}.x{name} has the shape {list(tensors[name].shape)}; {BEGINS}, so by the spec {shape}"
            )
        if not wanted.holds(tensors[name].dtype):
            raise UsageError(f"{part}.x{name} is {tensors[name].dtype}; by the spec it is {wanted}")
    classes = spec.kind == "classification"
    targets = [*lead, *spec.target_shape]
    if list(y.shape) != targets:
        raise UsageError(f"{part}.y has the shape {list(y.shape)}; by the spec it must be {targets}")
    if classes and y.dtype != torch.int64:
        raise UsageError(f"{part}.y is {y.dtype}; class indices must be torch.int64: end it with .long()")


def _check_labels(part: str, y: Tensor, classes: int) -> None:
    if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < classes:
        found = f"{int(y.min())} … {int(y.max())}"
        raise UsageError(f"{part}.y has classes {found}; by the spec they must be 0 … {classes - 1}")


def _is_transformed() -> bool:
    """Whether this is called within torch.vmap, torch.func.grad or the like, where a tensor may have no values."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def _mismatch(prediction: Tensor, target: Tensor, tells_apart: Callable[[torch.dtype], bool]) -> str:
    """Why outputs and targets do not belong together, and what to do; nothing if they do."""
    out, want = list(prediction.shape), list(target.shape)
    if len(out) < 2:
        return (
            f"the network's output for an episode has the shape {out}; it must be [examples, output size]. An "
            f"episode's x is [examples, …]; in meta_loss {BEGINS}"
        )
    together = f"targets of shape {want} beside outputs of shape {out}"
    if len(want) == len(out):
        if want[:-1] != out[:-1]:
            return f"{together}: there must be one target for each output"
    elif want != out[:-1]:
        return f"{together}: a regression's must be [examples, {out[-1]}], class indices [examples]"
    elif out[-1] == 1:
        if not tells_apart(target.dtype):
            return f"{together} would be broadcast, each compared with each; give them a last axis, y[..., None]"
    elif target.is_floating_point():
        return f"{together}: a regression's must be {out}, class indices torch.int64, not {target.dtype}"
    elif target.dtype not in (torch.int64, torch.uint8, torch.bool):
        return f"class indices must be torch.int64, not {target.dtype}: end them with .long()"
    if target.is_floating_point() and target.dtype != prediction.dtype:
        return f"targets of {target.dtype} beside outputs of {prediction.dtype}; give both in one type"
    return ""


def _tells_apart(loss: Loss, dtype: torch.dtype) -> bool:
    """Whether it hangs on which target belongs to which output of one number, as it does not where it broadcasts."""
    outputs, targets = torch.tensor([[0.25], [0.75]]), torch.tensor([0, 1]).to(dtype)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return not torch.allclose(loss(outputs, targets), loss(outputs, targets.flip(0)))
    except FOREIGN:  # a loss of its own kind, of which this says nothing
        return True
