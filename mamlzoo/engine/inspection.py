"""A trial of what nobody sees in numbers: that networks and algorithms are pure functions of θ, constants and episode.

One that is not gives numbers all the same: of another seed, of the calls before, of a generator that nobody seeded.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from mamlzoo import trees
from mamlzoo.engine import purity
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.contract import broken
from mamlzoo.engine.held import same
from mamlzoo.engine.randomness import Generators
from mamlzoo.errors import FOREIGN
from mamlzoo.interfaces import Episode, Learner, MetaAlgorithm, MetaParams, Model, Plugin, Task

FEW = 3
"""Examples that a network is tried on."""
HOLDING = (Tensor, nn.Module, list, tuple, dict)
"""Among the names of a class or a module, what tensors are looked for in."""
PURE = "its methods must be pure functions of θ, φ and the episode"


def inspect_networks(bound: Bound, model: Model, others: Mapping[str, nn.Module], episode: Episode) -> None:
    """Call each network a few times.

    Args:
        others: the networks as another seed builds them.
        episode: without an axis of episodes.

    Raises:
        PluginError: a network has a memory, or depends on something that θ and the constants do not hold.
    """
    networks, spec = bound.learner.networks, bound.learner.spec
    shapes = bound.algorithm.networks(spec)
    for name, network in networks.items():
        x, other = (batch.x[:FEW] for batch in episode)
        if shapes[name].input_shape != spec.input_shape:
            shape = (FEW, *shapes[name].input_shape)
            x = torch.linspace(-1, 1, math.prod(shape), device=x.device).reshape(shape)
            other = x / 2
        fault = (
            purity.memory_of(network, x, other)
            or purity.strays_in(network, x)
            or purity.seed_of(network, others[name], x)
        )
        if fault:
            raise broken(model, f": its network{f' {name!r}' if len(networks) > 1 else ''} {fault}")


def inspect_judgement(task: Task, target: Tensor) -> None:
    """Call the task's loss and its metrics.

    Raises:
        PluginError: one of them draws random numbers, or the loss has something to learn of its own.
    """
    prediction = torch.zeros(len(target), task.spec.output_size, device=target.device, requires_grad=True)
    for name, function in {"loss": task.loss, "metrics": task.metrics}.items():
        before = Generators.now()
        try:
            with torch.enable_grad():
                found = function(prediction, target)
        except FOREIGN:  # who calls it in earnest says what it raises
            continue
        _draws_nothing(task, name, before)
        strays = purity.strays([found], [prediction])
        if strays:
            names = purity.named(strays, _holders(task))
            raise broken(task, f": its {name} computes with {names}, which θ does not hold, so it is never learned")


def inspect_algorithm(bound: Bound, others: Mapping[str, nn.Module], episode: Episode) -> None:
    """Call each method twice, the second time with networks of another seed, from which nothing but structure is taken.

    Args:
        others: the networks as another seed builds them.
        episode: without an axis of episodes.

    Raises:
        PluginError: a method draws random numbers, keeps something, works in place, or uses tensors that θ and the
            constants do not hold.
    """
    algorithm = bound.algorithm
    learner = replace(bound.with_constants(trees.index(bound.constants, 0)), recompute=False)
    meta = trees.tree_map(lambda leaf: leaf[0].detach().clone().requires_grad_(), bound.meta)
    given = {"θ": meta, "the episode": episode, "the constants": learner.constants}
    before = trees.tree_map(lambda leaf: leaf.detach().clone(), given)
    first = _answers(algorithm, learner, meta, episode)
    for name, tree in given.items():
        if not trees.equal(tree, before[name]):
            raise broken(algorithm, f" changes {name} in place; make new tensors")
    found = purity.strays(first.values(), meta)
    if found:
        names = purity.named(found, _holders(algorithm) | {f"{n}.": net for n, net in learner.networks.items()})
        raise broken(
            algorithm,
            f": its results depend on {names}, which θ does not hold, so nothing of it is learned; put what is learned "
            "into θ by init, and call networks by learner.predict",
        )
    if episode.support.x.device.type != "cpu":  # where sums of one order are not promised
        return
    if _differing(first, _answers(algorithm, replace(learner, networks=others), meta, episode)):
        method = _differing(first, _answers(algorithm, learner, meta, episode))
        if method:
            raise broken(algorithm, f": two calls of {method} with the same inputs give different results; {PURE}")
        raise broken(
            algorithm,
            ": its results depend on tensors of learner.networks, which are another seed's; take them from "
            "θ, φ and learner.constants",
        )


def _answers(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, episode: Episode) -> dict[str, Any]:
    """What each method gives, for one adaptation step."""

    def call(method: str, *given: Any) -> Any:
        before = Generators.now()
        with torch.enable_grad():
            result = getattr(algorithm, method)(learner, meta, *given)
        _draws_nothing(algorithm, method, before)
        return result

    support, query = episode
    found = {"start": call("start", support)}
    found["adapt"] = call("adapt", found["start"], support)
    found["predict"] = call("predict", found["adapt"], query.x)
    if algorithm.trains:
        found["meta_loss"] = call("meta_loss", episode, torch.zeros((), device=query.x.device))
    return found


def _differing(one: Mapping[str, Any], two: Mapping[str, Any]) -> str:
    """The first method that gave something else; nothing if none did."""
    for method, tree in one.items():
        pairs = trees.leaves(tree), trees.leaves(two[method])
        if len(pairs[0]) != len(pairs[1]) or not all(map(same, *pairs)):
            return method
    return ""


def _draws_nothing(plugin: Plugin, method: str, before: Generators) -> None:
    drawn = " and ".join(before.drawn_from())
    if drawn:
        pure = PURE if plugin.kind == "algorithm" else "it must be a pure function of prediction and target"
        raise broken(plugin, f": {method} draws random numbers from {drawn} generator, which no seed governs; {pure}")


def _holders(plugin: Plugin) -> dict[str, object]:
    """Where a plugin may hold a tensor: its instance, its class, and the module of that."""
    cls = type(plugin)
    module = sys.modules.get(cls.__module__)
    spaces = {"self.": vars(plugin), f"{cls.__name__}.": vars(cls), "": vars(module) if module else {}}
    return {
        prefix: SimpleNamespace(**{name: value for name, value in space.items() if isinstance(value, HOLDING)})
        for prefix, space in spaces.items()
    }
