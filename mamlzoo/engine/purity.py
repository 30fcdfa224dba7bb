"""What may decide what a network gives: its parameters, its buffers and its inputs. Whatever else does is found here.

Each function tries one thing, by calling a network on a few examples. One that raises is not judged here. Where sums do
not repeat to the bit (`repeats`), what a network computes is not compared: only what is registered in it must stay.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mamlzoo import trees
from mamlzoo.engine.held import around, copied, differing, held_by, registered_in, same
from mamlzoo.engine.randomness import Generators
from mamlzoo.errors import FOREIGN
from mamlzoo.tables import some

SHOWN = 4
"""Names that are told; more are counted."""


class Fault(NamedTuple):
    """What a network does that it must not, as in "changes 'calls' when it is called", and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


FUNCTION = (
    "keep no running statistics (track_running_stats=False) and no counters, and write into no parameter in forward"
)
REGISTER = (
    "use each parameter by the attribute that registers it, keep several in an nn.ParameterList or nn.ModuleList, and "
    "constants by register_buffer"
)


def repeats(device: torch.device) -> bool:
    """Whether the same sum has the same bits there each time, which a GPU does not promise."""
    return device.type == "cpu"


def memory_of(network: nn.Module, x: Tensor, other: Tensor) -> Fault | None:
    """What it keeps from one call to the next, as a count of calls, or a mean of what it has seen.

    Args:
        x, other: inputs that it takes.
    """
    renormed = [name for name, module in network.named_modules() if getattr(module, "max_norm", None) is not None]
    if renormed:
        layer = type(network.get_submodule(renormed[0])).__name__
        return Fault(
            f"has max_norm in its {layer} '{renormed[0]}', so that each call writes into the weight, which is in θ",
            "build it without, and normalise in forward what it gives",
        )
    before = Generators.now()
    try:
        with torch.no_grad():
            one, two = copy.deepcopy(network), copy.deepcopy(network)
            first = one(x)
            between = copied(held_by(one))
            second = one(x)
            two(other)
            third = two(x)
    except FOREIGN:  # who calls it in earnest says what it raises
        return None
    if before.drawn_from():  # which is told where it is called first
        return None
    # What a call leaves behind and none reads, as its last activations, is the same after the same call.
    registered = registered_in(network)
    changed = [name for copy_ in (one, two) for name in differing(registered, registered_in(copy_))]
    if repeats(x.device):
        changed += differing(between, held_by(one))
    if changed:
        return Fault(f"changes {some(map(repr, dict.fromkeys(changed)), SHOWN)} when it is called", FUNCTION)
    if repeats(x.device) and not (same(first, second) and same(first, third)):
        return Fault("gives other outputs after other calls", FUNCTION)
    return None


def strays_in(network: nn.Module, x: Tensor) -> Fault | None:
    """The tensors that require a gradient with which it computes, and that are not the parameters it was given."""
    given = {name: leaf.detach().clone() for name, leaf in network.named_parameters()}
    for leaf in given.values():
        leaf.requires_grad_(leaf.is_floating_point() or leaf.is_complex())
    before = Generators.now()
    try:
        with torch.enable_grad():
            buffers = {name: leaf.detach().clone() for name, leaf in network.named_buffers()}
            output = functional_call(network, (given, buffers), (x,))
    except FOREIGN:
        return None
    finally:
        before.drawn_from()  # sets the generators back
    found = strays([output], given)
    if not found:
        return None
    they, are = ("they", "are") if len(found) > 1 else ("it", "is")
    places = held_by(network)
    for cls in dict.fromkeys(map(type, network.modules())):
        places |= around(cls)
    what = f"computes with {named(found, places)}, which {are} not in θ"
    return Fault(f"{what}, so {they} {are} never learned and all seeds share one", REGISTER)


def seed_of(network: nn.Module, other: nn.Module, x: Tensor) -> Fault | None:
    """What in it, parameters and buffers aside, hangs on the seed that it was built with.

    Args:
        other: built with another seed; with the parameters and buffers of the network it must be the network.
    """
    state = dict(network.named_parameters()) | dict(network.named_buffers())
    theirs = dict(other.named_parameters()) | dict(other.named_buffers())
    if _shapes(state) != _shapes(theirs):
        return Fault("has other parameters or buffers when another seed builds it", "let options decide that, no seed")
    if not repeats(x.device):
        return None
    before = Generators.now()
    try:
        with torch.no_grad():
            alike = same(copy.deepcopy(network)(x), functional_call(other, state, (x,)))
    except FOREIGN:
        return None
    if alike or before.drawn_from():
        return None
    one, two = ({n: v for n, v in held_by(module).items() if n not in state} for module in (network, other))
    own = {id(leaf) for leaf in state.values()}
    names = differing(one, two)
    names = [name for name in names if id(one.get(name)) not in own] or names  # a second reference, if nothing else
    what = some(map(repr, names), SHOWN) if names else "something"
    return Fault(
        f"depends on {what} besides its parameters and buffers, which differs from seed to seed, and all seeds would "
        "share one",
        REGISTER,
    )


def strays(results: Iterable[Any], known: object) -> list[Tensor]:
    """The leaves of the results' graph that require a gradient and are none of the known tensors."""
    given = {id(leaf) for leaf in trees.leaves(known)}
    nodes = [leaf.grad_fn for leaf in trees.leaves(list(results)) if isinstance(leaf, Tensor)]
    seen, found = set(), dict[int, Tensor]()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)  # of the nodes at which gradients accumulate
        if isinstance(leaf, Tensor) and id(leaf) not in given:
            found[id(leaf)] = leaf
        nodes += [before for before, _ in node.next_functions]
    return list(found.values())


def named(found: Iterable[Tensor], places: Mapping[str, object]) -> str:
    """Tensors in words, by the names of the places where they lie."""
    told = []
    for tensor in found:
        names = [name for name, value in places.items() if value is tensor]
        if len(names) > 1:
            told.append(f"'{names[-1]}' (a second reference to '{names[0]}')")
        else:
            told.append(f"'{names[0]}'" if names else f"a tensor {list(tensor.shape)} that requires a gradient")
    return some(told, SHOWN)


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: leaf.shape for name, leaf in state.items()}
