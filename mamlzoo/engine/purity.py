"""What may decide what a network gives: its parameters, its buffers and its inputs. Whatever else does is found here.

Each function tries one thing, by calling a network on a few examples. One that raises is not judged here. Where sums do
not repeat to the bit (`repeats`), what a network computes is not compared: only what is registered in it must stay.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mamlzoo import trees
from mamlzoo.contracts.drawing import called, drawing
from mamlzoo.contracts.inputs import arguments_of
from mamlzoo.contracts.noise import Noise
from mamlzoo.engine.generators import Generators
from mamlzoo.engine.held_tensors import Held, around, copied, differing, held_by, registered_in, same
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


OUT_OF_PLACE = (
    "in forward write x = x / 3, not x /= 3 nor x.div_(3), take layers without inplace=True, and before x[:, 0] = 0 "
    "write x = x.clone()"
)
FUNCTION = (
    "keep no running statistics (track_running_stats=False) and no counters, and write into no parameter in forward"
)
REGISTER = (
    "use each parameter by the attribute that registers it, keep layers in an nn.ModuleList or nn.ModuleDict in place "
    "of a list or dict, parameters in an nn.ParameterList, and constants by register_buffer"
)


def repeats(device: torch.device) -> bool:
    """Whether the same sum has the same bits there each time, which a GPU does not promise."""
    return device.type == "cpu"


@contextlib.contextmanager
def repeating() -> Iterator[None]:
    """Meanwhile operations repeat to the bit on a CPU.

    Some begin with memory as they find it: which columns torch.linalg.lstsq pivots first hangs on what lay there, and
    with that its last digits. Torch fills such memory where deterministic algorithms are asked for.
    """
    was = torch.get_deterministic_debug_mode()
    if was:  # by the user, or by who called this: to change filters makes each warning of a network's own a new one
        yield
        return
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have a deterministic implementation")
            warnings.filterwarnings("ignore", ".*[Dd]eterministic behavior was enabled")
            torch.set_deterministic_debug_mode("warn")
            yield
    finally:
        torch.set_deterministic_debug_mode(was)


def nothing_to_learn(networks: Iterable[nn.Module]) -> str:
    """In words that no parameter requires a gradient, with those that lie where no module registers them."""
    places: Held = {}
    for network in networks:
        places |= held_by(network)
    found = [value for value in places.values() if isinstance(value, Tensor) and value.requires_grad]
    lacking = "has no parameter that requires a gradient, so nothing can be learned"
    return f"{lacking}: {named(found, places)} are registered in no module; {REGISTER}" if found else lacking


def memory_of(network: nn.Module, x: Any, other: Any) -> Fault | None:
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
    before, given, inputs = Generators.now(), _clone(x), trees.leaves(x)
    try:
        with torch.no_grad(), repeating():
            one, two = copy.deepcopy(network), copy.deepcopy(network)
            first = called(one, given)
            between = copied(held_by(one))
            second = called(one, _clone(x))
            called(two, _clone(other))
            third = called(two, _clone(x))
    except FOREIGN:  # who calls it in earnest says what it raises
        return None
    if before.drawn_from():  # which is told where it is called first
        return None
    written = [
        leaf for leaf, was in zip(trees.leaves(given), inputs, strict=True) if leaf._version or not same(leaf, was)
    ]
    if written:  # torch counts what is written, equal numbers too
        return Fault("writes into its input", OUT_OF_PLACE)
    # What a call leaves behind and none reads, as its last activations, is the same after the same call.
    registered = registered_in(network)
    made = [name for name in registered_in(one) if name not in registered]
    if made:
        # Constants are split off, stacked for the seeds and saved before any call, and a tensor that is made while
        # tasks are batched is of those tasks: so it is not taken even where it is the same each time.
        names, it = some(map(repr, made), SHOWN), "them" if len(made) > 1 else "it"
        return Fault(
            f"makes {names} when it is first called, and parameters and buffers are taken from it before that",
            f"make {it} in __init__",
        )
    changed = [name for copy_ in (one, two) for name in differing(registered, registered_in(copy_))]
    if repeats(trees.leaves(x)[0].device):
        changed += differing(between, held_by(one))
    if changed:
        return Fault(f"changes {some(map(repr, dict.fromkeys(changed)), SHOWN)} when it is called", FUNCTION)
    if repeats(trees.leaves(x)[0].device) and not (same(first, second) and same(first, third)):
        return Fault("gives other outputs after other calls", FUNCTION)
    return None


def strays_in(network: nn.Module, x: Any) -> Fault | None:
    """The tensors that require a gradient with which it computes, and that are not the parameters it was given."""
    given = {name: leaf.detach().clone() for name, leaf in network.named_parameters()}
    for leaf in given.values():
        leaf.requires_grad_(leaf.is_floating_point() or leaf.is_complex())
    before = Generators.now()
    try:
        with torch.enable_grad():
            buffers = {name: leaf.detach().clone() for name, leaf in network.named_buffers()}
            output = _functional(network, given | buffers, x)
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


def seed_of(network: nn.Module, other: nn.Module, x: Any) -> Fault | None:
    """What in it, parameters and buffers aside, hangs on the seed that it was built with.

    Args:
        other: built with another seed; with the parameters and buffers of the network it must be the network.
    """
    state = dict(network.named_parameters()) | dict(network.named_buffers())
    theirs = dict(other.named_parameters()) | dict(other.named_buffers())
    if _shapes(state) != _shapes(theirs):
        return Fault("has other parameters or buffers when another seed builds it", "let options decide that, no seed")
    if not repeats(trees.leaves(x)[0].device):
        return None
    before = Generators.now()
    try:
        with torch.no_grad(), repeating():
            alike = same(called(copy.deepcopy(network), _clone(x)), _functional(other, state, x))
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
    """Tensors in words, by the names of the places where they lie and in their order."""
    told, order = [], [id(value) for value in places.values()]
    for tensor in sorted(found, key=lambda one: order.index(id(one)) if id(one) in order else len(order)):
        names = [name for name, value in places.items() if value is tensor]
        if len(names) > 1:
            told.append(f"{names[-1]!r} (a second reference to {names[0]!r})")
        else:
            told.append(repr(names[0]) if names else f"a tensor {list(tensor.shape)} that requires a gradient")
    return some(told, SHOWN)


def _clone(x: Any) -> Any:
    return trees.tree_map(torch.clone, x)


def _functional(network: nn.Module, state: Mapping[str, Tensor], x: Any) -> Any:
    """The network's output with this state, by the random numbers that `called` takes."""
    arguments, named = arguments_of(network, _clone(x))
    with drawing(network, Noise(torch.tensor(0, device=trees.leaves(x)[0].device), still=True)):
        return functional_call(network, dict(state), arguments, named)


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: leaf.shape for name, leaf in state.items()}
