"""Nested dicts, named tuples and registered dataclasses of tensors, leaf by leaf.

The one place that touches torch's pytree module, which has no public name yet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from typing import cast as cast_type

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

T = TypeVar("T")


Context = tuple[tuple[str, ...], tuple[tuple[str, object], ...]]
"""Of a dataclass the names of the branches, and what else it holds by name."""


def holds_tensor(field: dataclasses.Field[Any]) -> bool:
    """Whether a field is declared as a tensor; what it holds may be something that stands for one."""
    return field.type in (Tensor, "Tensor", "torch.Tensor")


def register(cls: type, is_branch: Callable[[dataclasses.Field[Any]], bool] = lambda field: True) -> None:
    """Let the fields of a dataclass be branches of a tree; one that is None is not there.

    Args:
        is_branch: whether a field is one; if not, it stays as it is.
    """
    every = dataclasses.fields(cls)
    names = tuple(field.name for field in every if is_branch(field))
    others = tuple(field.name for field in every if field.name not in names)

    def flatten(value: object) -> tuple[list[object], Context]:
        # Several times in each meta-step, so as little as possible is done here.
        held = [getattr(value, name) for name in names]
        there = names
        if any(branch is None for branch in held):
            there = tuple(name for name, branch in zip(names, held, strict=True) if branch is not None)
            held = [branch for branch in held if branch is not None]
        return held, (there, tuple((name, getattr(value, name)) for name in others) if others else ())

    def flatten_with_keys(value: object) -> tuple[list[tuple[pytree.KeyEntry, object]], Context]:
        branches, context = flatten(value)
        named: list[tuple[pytree.KeyEntry, object]] = [
            (pytree.GetAttrKey(name), branch) for name, branch in zip(context[0], branches, strict=True)
        ]
        return named, context

    def unflatten(branches: Iterable[object], context: Context) -> object:
        there, rest = context
        return cls(**dict(zip(there, branches, strict=True)), **dict(rest))

    pytree.register_pytree_node(cls, flatten, unflatten, flatten_with_keys_fn=flatten_with_keys)


def register_dict(cls: type, beside: str) -> None:
    """Let a kind of dict, with what it holds in an attribute beside its values, be a tree.

    Args:
        beside: the attribute, the second argument of the class.
    """

    def flatten(value: Any) -> tuple[list[object], tuple[object, ...]]:
        return [*value.values(), getattr(value, beside)], tuple(value)

    def flatten_with_keys(value: Any) -> tuple[list[tuple[pytree.KeyEntry, object]], tuple[object, ...]]:
        named: list[tuple[pytree.KeyEntry, object]] = [
            (pytree.MappingKey(key), branch) for key, branch in value.items()
        ]
        return [*named, (pytree.GetAttrKey(beside), getattr(value, beside))], tuple(value)

    def unflatten(branches: Iterable[object], context: tuple[object, ...]) -> object:
        *values, rest = branches
        return cls(dict(zip(context, values, strict=True)), rest)

    pytree.register_pytree_node(cls, flatten, unflatten, flatten_with_keys_fn=flatten_with_keys)


def tree_map(function: Callable[..., Tensor], tree: T, *others: T) -> T:
    """The same structure with `function` applied to every leaf (and the leaves of `others` beside it)."""
    return cast_type(T, pytree.tree_map(function, tree, *others))


def leaves(tree: object) -> list[Tensor]:
    """All tensors of a tree, in a fixed order."""
    return pytree.tree_leaves(tree)


def named_leaves(tree: object) -> list[tuple[str, Tensor]]:
    """All tensors of a tree with their path, as in `network.0.weight`."""
    return [
        (".".join(str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path), leaf)
        for path, leaf in pytree.tree_leaves_with_path(tree)
    ]


def equal(one: object, two: object) -> bool:
    """Whether two trees have as many leaves, each of the same shape and bits."""
    pairs = leaves(one), leaves(two)
    return len(pairs[0]) == len(pairs[1]) and all(map(torch.equal, *pairs))


def difference(found: object, wanted: object) -> str:
    """The first leaf of θ that one tree has in another shape than the other, seed axes aside; nothing if none."""
    theirs, ours = dict(named_leaves(found)), dict(named_leaves(wanted))
    for name in sorted({*theirs, *ours}, key=[*ours, *theirs].index):
        there, here = (list(tree[name].shape[1:]) if name in tree else "nothing" for tree in (theirs, ours))
        if there != here:
            return f"{name} is {there} there and {here} in this run"
    return ""


def replace_leaves(tree: T, new: Sequence[Tensor]) -> T:
    """The same structure with other leaves, in the order of `leaves`."""
    return cast_type(T, pytree.tree_unflatten(list(new), pytree.tree_structure(tree)))


def stack(trees: Sequence[T]) -> T:
    """Trees of one structure, each leaf stacked along a new leading axis."""
    return tree_map(lambda *tensors: torch.stack(tensors), trees[0], *trees[1:])


def ravel(tree: object) -> Tensor:
    """Leaves that begin with one shared axis, [seeds, …], side by side as one matrix [seeds, numbers]."""
    return torch.cat([leaf.flatten(1) if leaf.ndim > 1 else leaf[:, None] for leaf in leaves(tree)], 1)


def unravel(matrix: Tensor, like: T) -> T:
    """The inverse of `ravel`: a tree of `like`'s structure and shapes whose leaves are views of the matrix."""
    shapes = [leaf.shape for leaf in leaves(like)]
    columns = matrix.split([shape[1:].numel() for shape in shapes], 1)
    return replace_leaves(like, [part.view(shape) for part, shape in zip(columns, shapes, strict=True)])


def index(tree: T, at: int | slice | Tensor | tuple[int | slice, ...] | None) -> T:
    """The tree of `leaf[at]`."""
    return tree_map(lambda tensor: tensor[at], tree)


def stop_gradient(tree: T) -> T:
    """The same values as constants: no derivative flows through them."""
    return tree_map(torch.Tensor.detach, tree)


def cast(tree: T, dtype: torch.dtype, device: torch.device) -> T:
    """Floating-point leaves in `dtype`, every leaf on `device`."""
    return tree_map(lambda t: t.to(device, dtype) if t.is_floating_point() else t.to(device), tree)
