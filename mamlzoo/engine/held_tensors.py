"""What an object holds: tensors and numbers, each by the names that lead to it from the object."""

from __future__ import annotations

import contextlib
import copy
import functools
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mamlzoo.engine.torch_errors import explained
from mamlzoo.errors import FOREIGN, UsageError, in_short

Held = dict[str, object]
"""By path, as in `layers[0].weight`: a tensor, an array or a number."""
MACHINERY = frozenset(vars(nn.Module()))
"""Attributes that every module has: its parameters, buffers and children, which are walked by themselves, and hooks."""
HOLDING = (Tensor, nn.Module, list, tuple, dict)
"""Among the names of a class or a module, what tensors are looked for in."""
DEEPEST = 12
"""How far from the object one looks."""


def held_by(thing: object) -> Held:
    """All that it holds: what is registered in a module first, then what lies in attributes, containers and closures.

    A tensor that is held twice is there by both names; other objects are, by the first.
    """
    return dict(_walk("", thing, set(), 0))


def around(cls: type) -> Held:
    """What lies in a class and in the module that defines it; nothing of torch's own."""
    if cls.__module__.partition(".")[0] == "torch":
        return {}
    found: Held = {}
    module = sys.modules.get(cls.__module__)
    for prefix, space in {f"{cls.__name__}.": vars(cls), "": vars(module) if module else {}}.items():
        own = {n: value for n, value in space.items() if isinstance(value, HOLDING) and not n.startswith("__")}
        found |= {prefix + name: value for name, value in held_by(SimpleNamespace(**own)).items()}
    return found


def registered_in(network: nn.Module) -> dict[str, Tensor]:
    """A network's parameters and buffers by name; one that is tied has several names."""
    return dict(network.named_parameters(remove_duplicate=False)) | dict(network.named_buffers(remove_duplicate=False))


def reals_of(network: nn.Module) -> Iterator[nn.Parameter]:
    """Its parameters that hold real numbers, which say of what dtype it is: one that is frozen may hold whole ones."""
    return (parameter for parameter in network.parameters() if parameter.is_floating_point())


def copy_of(network: nn.Module, memo: dict[int, Any] | None = None) -> nn.Module:
    """A deep copy.

    Args:
        memo: by id, what stands for what in it.

    Raises:
        UsageError: something in it cannot be copied, as in "cannot be copied: 'log' is a TextIOWrapper; …".
    """
    try:
        return copy.deepcopy(network, memo)
    except FOREIGN as error:
        meant = explained(error)
        if meant == in_short(error) and (found := _uncopyable(network)):
            place, kind = found
            meant = f"{place!r} is a {kind}; make it where it is used, in forward, or keep it outside of the module"
        raise UsageError(f"cannot be copied: {meant}") from error


def copied(held: Mapping[str, object]) -> Held:
    """The same values, which no later work in place changes."""
    return {name: _copy(value) for name, value in held.items()}


def differing(one: Mapping[str, object], two: Mapping[str, object]) -> list[str]:
    """The names under which the values are not the same bits, or that are in one of them alone."""
    return [name for name in {**one, **two} if name not in one or name not in two or not _same(one[name], two[name])]


def same(one: Tensor, two: Tensor) -> bool:
    """Whether two tensors have the same shape, dtype and bits; NaN is as NaN."""
    return (
        one.shape == two.shape and one.dtype == two.dtype and bool(((one == two) | ((one != one) & (two != two))).all())
    )


def _walk(path: str, value: object, seen: set[int], depth: int) -> Iterator[tuple[str, object]]:
    if isinstance(value, Tensor | np.ndarray | bool | int | float | complex):
        yield path, value
        return
    if depth > DEEPEST or id(value) in seen:
        return
    seen.add(id(value))
    for name, part in _parts(value):
        yield from _walk(_joined(path, name), part, seen, depth + 1)


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """What lies directly in an object, each with the name that leads there."""
    if isinstance(value, nn.Module):
        for registered in (value._parameters, value._buffers, value._modules):
            yield from registered.items()
        yield from ((name, part) for name, part in vars(value).items() if name not in MACHINERY)
        for hooks in ("_forward_pre_hooks", "_forward_hooks"):
            yield hooks, list(vars(value)[hooks].values())
    elif isinstance(value, dict):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple | deque):
        yield from ((f"[{at}]", part) for at, part in enumerate(value))
    elif isinstance(value, functools.partial):
        yield from (("func", value.func), ("args", value.args), ("keywords", value.keywords))
    elif isinstance(value, types.MethodType):
        yield from _parts(value.__func__)
    elif isinstance(value, types.FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # a cell that is not filled yet
                yield name, cell.cell_contents
    elif not isinstance(value, type | types.ModuleType):
        yield from getattr(value, "__dict__", {}).items()


def _uncopyable(thing: object, path: str = "", above: tuple[int, ...] = ()) -> tuple[str, str] | None:
    """The innermost part that cannot be copied, by the names that lead to it, and its type.

    Args:
        above: what was come through, which a part may lead back to.
    """
    above = (*above, id(thing))
    for name, part in _parts(thing) if len(above) < DEEPEST else ():
        if id(part) in above:
            continue
        try:
            copy.deepcopy(part)
        except FOREIGN:
            place = _joined(path, name)
            found = _uncopyable(part, place, above)
            if found or not _leads_to(part, above):
                return found or (place, type(part).__name__)
    return None


def _leads_to(part: object, above: tuple[int, ...]) -> bool:
    """Whether a part cannot be copied only because it leads back to what it is a part of."""
    return any(id(below) in above for _, below in _parts(part))


def _joined(path: str, name: str) -> str:
    return path + name if name.startswith("[") or not path else f"{path}.{name}"


def _copy(value: object) -> object:
    if isinstance(value, Tensor):
        return value if is_lazy(value) else value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _same(one: object, two: object) -> bool:
    if one is two:
        return True
    if type(one) is not type(two) and not (isinstance(one, Tensor) and isinstance(two, Tensor)):
        return False
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return one.device == two.device and same(one.detach(), two.detach())
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
    return one == two or (one != one and two != two)
