"""Verify meta-gradients in float64: autograd beside central differences, and beside a closed form where one is known.

For one parameter θ_j of one episode,

    ∂L/∂θ_j ≈ (L(θ + h·e_j) − L(θ − h·e_j)) / 2h,   with error O(h²) + O(ε·|L|/h).

An algorithm that declares its meta-gradient exact must equal these differences. What a first-order or surrogate one
stops (`stop_gradient`, `Tensor.detach`) is a constant to autograd, and the differences treat it so too: the stopped
values are recorded at θ and put in again at θ ± h·e_j. The differences without that trick, the whole derivative, stand
beside.

A run computes several episodes at once, by rules of torch's of which some are wrong; so this meta-gradient is held to
that of one episode after another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, MetaParams
from mamlzoo.contracts.differentiation import differentiating
from mamlzoo.contracts.inner_loop import adapt
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import HasClosedForm
from mamlzoo.discovery.blame import blamed
from mamlzoo.engine.batching_check import TASKS, off_by
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.episodes import draw
from mamlzoo.engine.missing_derivatives import located
from mamlzoo.engine.placement import device_of
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import FEW_NUMBERS
from mamlzoo.runs.name_resolution import AlgorithmLike, ModelLike, TaskLike, experiments
from mamlzoo.runs.setup import bind
from mamlzoo.runs.watchers import counted
from mamlzoo.verification.report import Coordinate, EpisodeReport, Verification, relative_error

STEPS = (1e-5, 1e-6, 1e-7)
"""h relative to max(1, |θ_j|). The smaller ones are tried where a kink of the network lies within the larger."""
TOLERANCE = 1e-6
WHOLE = 0.01
"""How far a surrogate that claims the whole derivative may be from it: what it solves, it solves to some digits."""
CLOSED_FORM_TOLERANCE = 1e-9
STOPPING = (torch.Tensor.detach, torch.detach, torch.Tensor.data.__get__)  # type: ignore[attr-defined]
"""The functions that make a constant of a tensor."""


@differentiating
def verify(
    task: TaskLike = "sine",
    model: ModelLike = "mlp",
    algorithm: AlgorithmLike = "maml",
    *,
    options: Mapping[str, Any] | None = None,
    episodes: int = 2,
    coordinates: int = 64,
    seed: int = 0,
    trained: float = 0.0,
    progress: bool | Callable[[int, int], None] | None = None,
) -> Verification:
    """Compute the meta-gradient at θ⁰ on a few training episodes in every way there is.

    Args:
        task, model, algorithm, options: as for `mamlzoo.run`.
        episodes: how many training episodes.
        coordinates: how many numbers of θ to check, chosen at random where θ has more.
        seed: of θ⁰, the episodes and the choice of coordinates.
        trained: how much of meta-training is done, in [0, 1], which an algorithm's schedules see.
        progress: True for a bar; or a function, called with (coordinates done, in all).

    Raises:
        UsageError: as for `mamlzoo.run`.
    """
    (experiment,) = experiments([task], [model], [algorithm], options=options, seeds=[seed], iterations=0)
    bound = bind(experiment, torch.float64)
    device = device_of(experiment.settings.device)
    drawn = trees.cast(draw(experiment.task, episodes, seed, "train", 0, device), torch.float64, device)
    verifier = _Verifier(experiment, bound, trees.index(bound.meta, 0), coordinates, seed, trained)
    parameters = sum(leaf.numel() for leaf in trees.leaves(verifier.meta))
    checked = min(coordinates, parameters)
    reports = []
    with counted(f"verify {experiment}", progress) as told, blamed(experiment, "verification"):
        for at in range(episodes):

            def tell(done: int, at: int = at) -> None:
                told(at * checked + done, episodes * checked)

            episode = trees.index(drawn, at)
            with located(bound, episode):
                reports.append(verifier.report(episode, f"episode {at}", tell))
        off = _batched_off_by(bound, experiment, seed, trained)
    return Verification(experiment.name, experiment.algorithm.order, parameters, reports, off)


def _batched_off_by(bound: Bound, experiment: Experiment, seed: int, trained: float) -> float:
    """As `Verification` has it, of as many episodes as a run looks at."""
    episodes = draw(experiment.task, TASKS, seed, "train", 0, device_of(experiment.settings.device))
    one_seed = trees.tree_map(lambda leaf: leaf[None], episodes)
    return off_by(bound, one_seed, experiment.settings.meta_reduction, trained)


@dataclass(frozen=True)
class _Verifier:
    """Computes meta-gradients of one combination in every way there is.

    Attributes:
        coordinates, seed, trained: as for `verify`.
    """

    experiment: Experiment
    bound: Bound
    meta: MetaParams
    coordinates: int
    seed: int
    trained: float

    def report(self, episode: Episode, title: str, tell: Callable[[int], None]) -> EpisodeReport:
        """What one episode shows.

        Args:
            title: where the task's closed form has none.
            tell: called with how many coordinates are done.
        """
        task, algorithm, meta = self.experiment.task, self.experiment.algorithm, self.meta
        learner = self.bound.first(episode)[0]
        progress = torch.tensor(self.trained, dtype=torch.float64)

        def loss(theta: MetaParams) -> Tensor:
            own = self.bound.first(episode, training=True)[0]  # which draws the same numbers each time
            return algorithm.meta_loss(own, theta, episode, progress)[0]

        tracked = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), meta)
        with _Stops() as stops:
            value = loss(tracked)
        gradient = torch.autograd.grad(value, trees.leaves(tracked), allow_unused=True, materialize_grads=True)

        def held(theta: MetaParams) -> float:
            if algorithm.order == "exact":
                return float(loss(theta))
            with _Stops(stops.values):
                return float(loss(theta))

        closed = task.closed_form(algorithm, learner, meta, episode) if isinstance(task, HasClosedForm) else None
        named = trees.named_leaves(meta)
        scale = max((float(leaf.abs().max()) for leaf in gradient), default=0.0)
        found = []
        for done, (leaf, at) in enumerate(_choose(gradient, self.coordinates, self.seed), 1):
            autograd = float(gradient[leaf].flatten()[at])
            differences, agree = _difference(held, meta, leaf, at, autograd, float(value.detach()))
            whole = None
            if algorithm.order != "exact":
                whole, _ = _central(lambda theta: float(loss(theta)), meta, leaf, at, STEPS[1])
            by_hand = None if closed is None else float(trees.leaves(closed.meta_gradient)[leaf].flatten()[at])
            agree = agree and (by_hand is None or relative_error(autograd, by_hand) < CLOSED_FORM_TOLERANCE)
            off = whole is not None and "whole-derivative" in algorithm.claims and not _is_whole(autograd, whole, scale)
            agree = agree and not off
            place = ", ".join(map(str, np.unravel_index(at, named[leaf][1].shape)))
            found.append(Coordinate(f"{named[leaf][0]}[{place}]", autograd, differences, whole, by_hand, agree, off))
            tell(done)
        return EpisodeReport(
            title=title if closed is None else closed.title,
            meta_loss=float(value.detach()),
            adapted=_adapted(self.experiment, learner, meta, episode),
            coordinates=found,
            chain_rule=[] if closed is None else closed.steps,
        )


def _is_whole(autograd: float, whole: float, scale: float) -> bool:
    """Whether a surrogate's gradient is the whole derivative, within WHOLE of the largest component."""
    return abs(autograd - whole) <= WHOLE * scale


def _difference(
    loss: Callable[[MetaParams], float], meta: MetaParams, leaf: int, at: int, expected: float, value: float
) -> tuple[float, bool]:
    """The central difference at one coordinate that comes closest to what is expected, and whether it is close."""
    best = float("nan")
    for step in STEPS:
        difference, h = _central(loss, meta, leaf, at, step)
        if not abs(difference - expected) >= abs(best - expected):
            best = difference
        rounding = 10 * float(np.finfo(np.float64).eps) * abs(value) / h
        if abs(difference - expected) <= TOLERANCE * max(1.0, abs(expected)) + rounding:
            return difference, True
    return best, False


def _central(
    loss: Callable[[MetaParams], float], meta: MetaParams, leaf: int, at: int, step: float
) -> tuple[float, float]:
    """(L(θ + h·e) − L(θ − h·e)) / 2h, and h."""
    leaves = trees.leaves(meta)
    h = step * max(1.0, abs(float(leaves[leaf].flatten()[at])))
    sides = []
    for sign in (1, -1):
        moved = leaves[leaf].clone()
        moved.view(-1)[at] += sign * h
        sides.append(loss(trees.replace_leaves(meta, [*leaves[:leaf], moved, *leaves[leaf + 1 :]])))
    return (sides[0] - sides[1]) / (2 * h), h


def _adapted(
    experiment: Experiment, learner: Learner, meta: MetaParams, episode: Episode
) -> dict[str, list[Any]] | None:
    steps = getattr(experiment.algorithm, "inner_steps", 1)
    fast = trees.named_leaves(adapt(experiment.algorithm, learner, meta, episode.support, steps))
    if sum(leaf.numel() for _, leaf in fast) > FEW_NUMBERS:
        return None
    return {name: leaf.tolist() for name, leaf in fast}


def _choose(gradient: Sequence[Tensor], count: int, seed: int) -> list[tuple[int, int]]:
    """Which numbers of θ to check, as (leaf, position in it).

    Where θ has more than `count`, half of them are drawn where the gradient is not zero, so that silent units do not
    fill the table; the others anywhere, so that a gradient that is wrongly zero is found too.
    """
    every = [(leaf, at) for leaf, tensor in enumerate(gradient) for at in range(tensor.numel())]
    if len(every) <= count:
        return every
    order = np.random.default_rng(seed).permutation(len(every))
    nonzero = torch.cat([(tensor != 0).flatten() for tensor in gradient]).numpy(force=True)
    alive = order[nonzero[order]][: (count + 1) // 2]
    others = order[~np.isin(order, alive)][: count - len(alive)]
    return [every[place] for place in sorted([*alive, *others])]


class _Stops(TorchFunctionMode):
    """Records what is stopped, or puts recorded values in its place."""

    def __init__(self, replay: list[Tensor] | None = None) -> None:
        super().__init__()
        self.values: list[Tensor] = []
        self._replay = None if replay is None else iter(replay)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func not in STOPPING:
            return result
        if self._replay is not None:
            return next(self._replay)
        # A tensor inside torch.func.grad is a wrapper that dies with it; its numbers do not.
        self.values.append(torch.tensor(result.tolist(), dtype=result.dtype, device=result.device))
        return result
