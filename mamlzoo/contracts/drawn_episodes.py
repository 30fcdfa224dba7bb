"""The episodes that a task drew, held against what its spec promises."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mamlzoo import tables, trees
from mamlzoo.contracts import inputs
from mamlzoo.contracts.data import Batch, Episode, Spec, Split
from mamlzoo.contracts.inputs import Input
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.return_values import TARGETS, broken, described, is_finite

SIZES = (
    "all episodes of a split must have one size: draw as many examples each time, choose how many by an option, or "
    "pad them to one length and say by the mask of a Batch which are there"
)
"""What to do about a task whose episodes differ in size."""


def check_episodes(task: Task, count: int, episodes: Any) -> Episode:
    """What `sample` drew: the shapes that the task's spec promises, and finite numbers.

    A regression target without its last axis would broadcast silently.

    Raises:
        PluginError: it is something else.
    """
    if not isinstance(episodes, Episode) or not all(isinstance(batch, Batch) for batch in episodes):
        raise broken(task, f"must sample an Episode of two Batches, not {described(episodes)}")
    for part, batch in episodes.sets.items():
        _check_batch(task, count, part, batch)
    return episodes


def check_size(task: Task, split: Split, like: Episode, episodes: Episode) -> Episode:
    """Episodes of the same size as others of their split: a program is compiled for one, and a test set has one.

    Raises:
        PluginError: a leaf has another shape than before, its first axis aside, or another dtype.
    """
    for (name, before), now in zip(trees.named_leaves(like), trees.leaves(episodes), strict=True):
        if before.shape[1:] != now.shape[1:]:
            was, found, remedy = f"shape {list(before.shape[1:])}", f"shape {list(now.shape[1:])}", SIZES
        elif before.dtype != now.dtype:
            was, found, remedy = str(before.dtype), str(now.dtype), "all episodes of a split must have one dtype"
        else:
            continue
        raise broken(task, f"drew {name} of {found} for an episode of '{split}', after one of {was}; {remedy}")
    return episodes


def _check_batch(task: Task, count: int, part: str, batch: Batch) -> None:
    """One set of each episode."""
    asked = f"was asked for {tables.count(count, 'episode')} and returned {part}"
    tensors = inputs.named_tensors(task.spec.structure, batch.x)
    if not tensors:
        raise broken(
            task,
            f"{asked}.x as {described(batch.x)}; by its spec it must be {inputs.described(task.spec.structure)}",
        )
    for name, leaf in {**{f"x{name}": leaf for name, leaf in tensors.items()}, "y": batch.y}.items():
        if not isinstance(leaf, Tensor):
            raise broken(task, f"{asked}.{name} as {described(leaf)}; it must be a tensor")
    for name, wanted in inputs.named(task.spec.structure).items():
        _check_inputs(task, asked, f"x{name}", tensors[name], wanted, count)
    first = next(iter(tensors))
    x, y = list(tensors[first].shape), list(batch.y.shape)
    for name, leaf in tensors.items():
        if leaf.shape[1] != x[1]:
            raise broken(task, f"{asked}.x{name} of {leaf.shape[1]} examples beside x{first} of {x[1]}")
    targets = [*x[:2], *task.spec.target_shape]
    if y != targets:
        names = TARGETS[task.spec.kind] if task.spec.target_size is None else "[episodes, examples, target size]"
        raise broken(task, f"{asked}.y of shape {y} beside x{first} of shape {x}; it must be {names}, {targets}")
    wrong = _wrong_targets(task.spec, batch.y)
    if wrong:
        raise broken(task, f"{asked}.{wrong}")
    _check_mask(task, asked, part, batch)
    for name, leaf in trees.named_leaves(batch):
        if not is_finite(leaf):
            bad = ~torch.isfinite(leaf)
            which = int(bad.flatten(1).any(1).nonzero()[0])
            numbers = "1 number that is" if bad.sum() == 1 else f"{int(bad.sum())} numbers that are"
            raise broken(task, f"{asked}.{name} with {numbers} not finite, first in episode {which}")


def _check_inputs(task: Task, asked: str, name: str, x: Tensor, wanted: Input, count: int) -> None:
    """One tensor of the inputs: its shape, and what kind of numbers it holds."""
    shape = list(x.shape)
    if len(shape) < 2 or shape[0] != count or shape[2:] != list(wanted.shape):
        right = ", ".join(map(str, (count, "examples", *wanted.shape)))
        raise broken(task, f"{asked}.{name} of shape {shape}; it must be [{right}]")
    if not wanted.holds(x.dtype):
        if wanted.kind == "float":
            what = "inputs must be floating-point numbers: end it with .float(); for whole numbers its spec has inputs="
        else:
            what = f"by its spec it is {wanted}: end it with {'.long()' if wanted.kind == 'integer' else '.bool()'}"
        raise broken(task, f"{asked}.{name} as {x.dtype}; {what}")
    words = wanted.vocabulary
    if words is not None and x.numel() and not 0 <= int(x.min()) <= int(x.max()) < words:
        raise broken(
            task, f"{asked}.{name} with numbers from {int(x.min())} to {int(x.max())}; its spec's vocabulary is {words}"
        )


def _check_mask(task: Task, asked: str, part: str, batch: Batch) -> None:
    """Which examples are there."""
    mask = batch.mask
    if mask is None:
        return
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = mask.dtype if isinstance(mask, Tensor) else described(mask)
        raise broken(task, f"{asked}.mask as {got}; it must be a tensor of torch.bool")
    if mask.shape != batch.y.shape[:2]:
        raise broken(
            task,
            f"{asked}.mask of shape {list(mask.shape)}; it must be [episodes, examples], {list(batch.y.shape[:2])}",
        )
    if part == "query" and not mask.any(1).all():
        which = int((~mask.any(1)).nonzero()[0])
        raise broken(task, f"{asked}.mask without an example in episode {which}: there is nothing to judge by")


def _wrong_targets(spec: Spec, y: Tensor) -> str:
    """What is wrong with the kind of numbers in targets, and what to do; nothing if all is well."""
    if spec.kind == "regression":
        real = y.dtype != torch.bool and not y.is_complex()
        return "" if real else f"y as {y.dtype}; targets must be real numbers: end it with .float()"
    classes = f"targets of a classification must be class indices from 0 to {spec.output_size - 1}"
    if y.dtype != torch.int64:
        return f"y as {y.dtype}; {classes}, as torch.int64: end it with .long()"
    if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < spec.output_size:
        return f"y with classes from {int(y.min())} to {int(y.max())}; {classes}"
    return ""
