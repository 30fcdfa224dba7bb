"""A look at what nobody sees in numbers: that networks and algorithms are pure functions of θ, constants and episode.

One that is not gives numbers all the same: of another seed, of the calls before, of a generator that nobody seeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mamlzoo import trees
from mamlzoo.contracts import inputs
from mamlzoo.contracts.data import Episode, MetaParams, Spec
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import Model, Plugin, Task
from mamlzoo.contracts.return_values import check_meta_loss
from mamlzoo.engine import purity
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.generators import Generators
from mamlzoo.engine.held_tensors import Held, around, held_by, same
from mamlzoo.engine.judgement import Judgement, judge
from mamlzoo.errors import FOREIGN, PluginError

FEW = 3
"""Examples that a network is tried on."""
TAKEN = "put what is learned into θ by init, call networks by learner.predict, constants are in learner.constants"
PURE = "its methods must be pure functions of θ, φ and the episode, and draw by learner.noise"


class ImpureError(PluginError):
    """A network, a loss or an algorithm depends on more than it is given."""


def inspect_networks(bound: Bound, model: Model, others: Mapping[str, nn.Module], episode: Episode) -> None:
    """Call each network a few times.

    Args:
        others: the networks as another seed builds them.
        episode: without an axis of episodes.

    Raises:
        ImpureError: a network has a memory, or depends on something that θ and the constants do not hold.
    """
    networks, spec = bound.learner.networks, bound.learner.spec
    shapes = bound.algorithm.networks(spec)
    for name, network in networks.items():
        shape = shapes[name]
        if not isinstance(shape, Spec):  # a network of the algorithm's own, whose inputs are its own affair
            continue
        x, other = (trees.index(batch.x, slice(FEW)) for batch in episode)
        if shape.structure != spec.structure:
            x = inputs.examples(shape.structure, FEW, torch.float32, episode.query.y.device)
            other = trees.tree_map(lambda leaf: leaf.flip(0), x)
        fault = (
            purity.memory_of(network, x, other)
            or purity.strays_in(network, x)
            or purity.seed_of(network, others[name], x)
        )
        if fault:
            raise _impure(model, f": its network{f' {name!r}' if len(networks) > 1 else ''} {fault}")


def inspect_judgement(task: Task, target: Tensor) -> None:
    """Call the task's loss and its metrics.

    Raises:
        ImpureError: one of them draws random numbers, or the loss has something to learn of its own.
    """
    prediction = torch.zeros(len(target), task.spec.output_size, device=target.device, requires_grad=True)

    def judged(prediction: Tensor, target: Tensor) -> Judgement:
        return judge(task, prediction, target)

    for name, function in {"loss": task.loss, "metrics": judged}.items():
        before = Generators.now()
        try:
            with torch.enable_grad():
                found = function(prediction, target)
        except FOREIGN:  # who calls it in earnest says what it raises
            continue
        _draws_nothing(task, name, before)
        strays = purity.strays([found], [prediction])
        if strays:
            names = purity.named(strays, _places(task))
            raise _impure(task, f": its {name} computes with {names}, which θ does not hold, so it is never learned")


def inspect_algorithm(bound: Bound, others: Mapping[str, nn.Module], episode: Episode) -> None:
    """Call each method a few times.

    Args:
        others: the networks as another seed builds them.
        episode: without an axis of episodes.

    Raises:
        ImpureError: a method draws random numbers, keeps something, or uses tensors that θ and the constants do not
            hold.
    """
    algorithm = bound.algorithm
    before, first = Generators.now(), dict[str, Any]()
    with purity.repeating():
        meta = _tracked(bound)
        for method, result in _calls(bound, meta, episode):
            _draws_nothing(algorithm, method, before)
            first[method] = result
        method = _differing(first, dict(_calls(bound, meta, episode))) if _repeats(episode) else ""
        if method:
            raise _impure(algorithm, f": two calls of {method} with the same inputs give different results; {PURE}")
        fault = _foreign(first, bound, meta, others, episode)
    if fault:
        raise _impure(algorithm, f": its results depend on {fault}")


def foreign_tensors(bound: Bound, others: Mapping[str, nn.Module], episode: Episode) -> purity.Fault | None:
    """What the algorithm's results depend on besides θ, the constants and the episode.

    Args:
        others, episode: as for `inspect_algorithm`.
    """
    meta = _tracked(bound)
    with purity.repeating():
        first = dict(_calls(bound, meta, episode))
        return _foreign(first, bound, meta, others, episode)


def _foreign(
    first: Mapping[str, Any], bound: Bound, meta: MetaParams, others: Mapping[str, nn.Module], episode: Episode
) -> purity.Fault | None:
    """The same, where what the methods give is known already."""
    found = purity.strays(first.values(), meta)
    if found:
        places = _places(bound.algorithm)
        for name, network in bound.learner.networks.items():
            places |= {f"learner.networks.{name}.{at}": value for at, value in held_by(network).items()}
        names = purity.named(found, places)
        return purity.Fault(f"{names}, which θ does not hold, so nothing of it is learned", TAKEN)
    # A network's structure is all that may be taken from it; the tensors in it are those of one seed.
    with_others = replace(bound, learner=replace(bound.learner, networks=others))
    elsewhere = dict(_calls(with_others, meta, episode))
    if not _repeats(episode) or not _differing(first, elsewhere):
        return None
    if _differing(first, dict(_calls(bound, meta, episode))):  # so that they say nothing
        return None
    return purity.Fault("tensors of learner.networks, which are those of one seed", TAKEN)


def _tracked(bound: Bound) -> MetaParams:
    """θ of the first seed, whose gradient is asked for."""
    return trees.tree_map(lambda leaf: leaf[0].detach().clone().requires_grad_(), bound.meta)


def _learner(bound: Bound, episode: Episode, *, training: bool = False) -> Learner:
    """What keeps no graph to be computed again, and so hides no tensor."""
    return replace(bound.first(episode, training=training)[0], recompute=False)


def _repeats(episode: Episode) -> bool:
    return purity.repeats(episode.support.y.device)


def _calls(bound: Bound, meta: MetaParams, episode: Episode) -> Iterator[tuple[str, Any]]:
    """Each method with what it gives, for one adaptation step."""
    algorithm, (support, query) = bound.algorithm, episode
    with torch.enable_grad():
        start = algorithm.start(_learner(bound, episode), meta, support)
    yield "start", start
    with torch.enable_grad():
        fast = algorithm.adapt(_learner(bound, episode), meta, start, support)
    yield "adapt", fast
    with torch.enable_grad():
        prediction = algorithm.predict(_learner(bound, episode), meta, fast, query.x)
    yield "predict", prediction
    if algorithm.trains:
        try:
            with torch.enable_grad():
                learner = _learner(bound, episode, training=True)
                found = algorithm.meta_loss(learner, meta, episode, torch.zeros((), device=query.y.device))
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # divergence, an outcome and no fault
            return
        yield "meta_loss", check_meta_loss(algorithm, found)


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
        raise _impure(plugin, f": {method} draws random numbers from {drawn} generator, which no seed governs; {pure}")


def _impure(plugin: Plugin, what: str) -> ImpureError:
    return ImpureError(f"{plugin.kind} '{plugin.name}'{what}", plugin=plugin)


def _places(plugin: Plugin) -> Held:
    """Where a plugin may hold a tensor: its instance, its class, and the module of that."""
    return {f"self.{name}": value for name, value in held_by(plugin).items()} | around(type(plugin))
