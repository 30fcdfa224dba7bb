"""Which experiments can be trained side by side: those that differ in numbers alone, and give what each gives alone.

The numbers are an algorithm's, as its inner rate, and the outer loop's: its rates and its optimiser's options. Nobody
declares what an algorithm does with a number: a few episodes are computed side by side and alone. What it branches on,
or makes its networks of, keeps experiments apart.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import torch

from mamlzoo import trees
from mamlzoo.contracts.data import Episode
from mamlzoo.contracts.numeric_options import numeric_options
from mamlzoo.engine.adaptation import ROUGHLY, mapping_for, predictions
from mamlzoo.engine.batching_check import off_by
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.episodes import BLOCK_NUMBERS, TestSet, draw
from mamlzoo.engine.gradients import EAGER
from mamlzoo.engine.memory import BUDGET
from mamlzoo.engine.placement import device_of
from mamlzoo.engine.plan_choice import bytes_of_a_task
from mamlzoo.engine.side_by_side import joined_bounds
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.runs.setup import bind

MOST = 16
"""So many experiments at most: a tensor of all of them is large enough by then to be computed at full speed."""
FEW = 2
"""Episodes that are looked at."""
COPIES = 8
"""Of θ, about, in training: its gradient, the optimiser's state, what is written down."""


def companions(
    experiments: Sequence[Experiment], configs: Sequence[Mapping[str, Any]], standing: Sequence[Hashable]
) -> list[list[int]]:
    """The experiments in groups that go side by side, by position; both in the order of the experiments.

    Args:
        configs: theirs.
        standing: where each stands; those that stand elsewhere cannot go on together.
    """
    found = []
    for group in _alike(experiments, configs, range(len(experiments)), standing, ()):
        found += _that_fit(experiments, configs, group, standing)
    return sorted(found)


def _that_fit(
    experiments: Sequence[Experiment],
    configs: Sequence[Mapping[str, Any]],
    group: list[int],
    standing: Sequence[Hashable],
) -> list[list[int]]:
    """A group of experiments that differ in numbers, in the largest parts that give what each gives alone."""
    pieces = _in_pieces(experiments, group)
    if all(_fit(experiments, piece) for piece in pieces):
        return pieces
    own = [experiments[at] for at in group]
    names = {name for name in numeric_options(own[0].algorithm) if len({_number(one, name) for one in own}) > 1}
    stiff = {name for name in names if not _takes_several(own, name)}
    found = []
    for part in _alike(experiments, configs, group, standing, stiff):
        for piece in _in_pieces(experiments, part):
            found += [piece] if _fit(experiments, piece) else [[at] for at in piece]
    return found


def _alike(
    experiments: Sequence[Experiment],
    configs: Sequence[Mapping[str, Any]],
    group: Sequence[int],
    standing: Sequence[Hashable],
    stiff: Collection[str],
) -> list[list[int]]:
    """Experiments that differ in numbers at most, but for options that must be the same."""
    groups: dict[Hashable, list[int]] = {}
    for at in group:
        experiment = experiments[at]
        # One task after another is the same alone.
        alone = at if experiment.settings.plan == "loop" else None
        groups.setdefault((_without_numbers(experiment, configs[at], stiff), standing[at], alone), []).append(at)
    return list(groups.values())


def _without_numbers(experiment: Experiment, config: Mapping[str, Any], stiff: Collection[str]) -> str:
    """All that defines an experiment but the numbers that may differ."""
    settings, algorithm = dict(config["settings"]), dict(config["algorithm"])
    numbers = [name for name in numeric_options(experiment.algorithm) if name not in stiff]
    algorithm["options"] = _blank(algorithm["options"], numbers)
    settings = _blank(settings, ["outer_lr"])
    for name in ("group_lrs", "optimizer_options"):
        settings[name] = _blank(settings[name], [key for key, value in settings[name].items() if type(value) is float])
    parts = [config["task"], config["model"], algorithm, settings]
    return json.dumps(parts, sort_keys=True)


def _blank(values: Any, names: Collection[str]) -> dict[str, Any]:
    return {name: None if name in names else value for name, value in values.items()}


def _number(experiment: Experiment, name: str) -> float:
    return numeric_options(experiment.algorithm)[name]


def _takes_several(experiments: Sequence[Experiment], name: str) -> bool:
    """Whether two that differ in this number alone fit."""
    for one, two in combinations(experiments, 2):
        numbers = numeric_options(one.algorithm), numeric_options(two.algorithm)
        if [other for other in numbers[0] if numbers[0][other] != numbers[1][other]] == [name]:
            return _fit([one, two], [0, 1])
    return False


def _in_pieces(experiments: Sequence[Experiment], group: list[int]) -> list[list[int]]:
    """As many at once as memory has room for."""
    try:
        size = _most(experiments[group[0]]) if len(group) > 1 else 1
    except Exception:  # of a plugin, which is said when its turn comes
        size = 1
    return [group[first : first + size] for first in range(0, len(group), size)]


def _most(experiment: Experiment) -> int:
    """How many experiments like this memory has room for."""
    settings, bound = experiment.settings, _of_one_seed(experiment)
    theta = sum(leaf.numel() * leaf.element_size() for leaf in trees.leaves(bound.meta))
    block = 2 * BLOCK_NUMBERS * trees.leaves(bound.meta)[0].element_size()
    task = bytes_of_a_task(bound, _episodes(experiment, 1))
    needed = task * (settings.chunk or 1) + COPIES * theta + block
    return max(1, min(MOST, BUDGET // (needed * len(settings.seeds))))


def _fit(experiments: Sequence[Experiment], group: Sequence[int]) -> bool:
    """Whether they give side by side what each gives alone, on a few episodes and for one seed.

    What raises here raises again where it matters.
    """
    if len(group) == 1:
        return True
    with experiments[group[0]].settings.in_force():
        try:
            return _gives_the_same([experiments[at] for at in group])
        except Exception:
            return False


def _gives_the_same(experiments: Sequence[Experiment]) -> bool:
    first = experiments[0]
    bounds, claims = [_of_one_seed(one) for one in experiments], [_said(one) for one in experiments]
    together, seeds = joined_bounds(bounds), len(experiments)
    episodes = [_episodes(one, 1) for one in experiments]
    if any(said != claims[0] for said in claims) or not all(trees.equal(drawn, episodes[0]) for drawn in episodes):
        return False
    rows = [together.of_rows(slice(at, at + 1)) for at in range(seeds)]
    if not all(
        _adapt_alike(bound, row, trees.index(episodes[0], (0, 0))) for bound, row in zip(bounds, rows, strict=True)
    ):
        return False
    if first.algorithm.trains:
        for bound, row in zip(bounds, rows, strict=True):
            if any(not _same(_gradient(bound, *now), _gradient(row, *now)) for now in _moments(episodes[0])):
                return False
        ends = replace(together, **_ends(together))
        batch = trees.index(_episodes(first, seeds), 0)
        if any(off_by(ends, trees.index(batch, slice(2)), "mean", float(now)) for _, now in _moments(episodes[0])):
            return False
        EAGER["vmap"](together, "mean")(_leaves(together), batch, torch.tensor(0.0, device=batch.support.y.device))
    tests = TestSet(first.task, FEW, first.settings.test_seed, device_of(first.settings.device))
    return mapping_for(replace(together, **_ends(together)), first.task, tests, "auto") == "vmap"


def _adapt_alike(bound: Bound, row: Bound, few: Episode) -> bool:
    """Whether an experiment predicts alone what it predicts as a row, but for rounding."""
    found = (predictions(one, one.meta, few.support, few.query.x, 1, "loop", few.key) for one in (bound, row))
    return _same(*found, within=ROUGHLY)


def _same(one: Any, two: Any, *, within: float = 0.0) -> bool:
    """Whether all numbers of two trees are the same, relative to the largest of a leaf; NaN is as NaN."""
    return all(
        a.shape == b.shape
        and torch.allclose(a, b, rtol=0, atol=within * float(b.nan_to_num(0, 0, 0).abs().max()), equal_nan=True)
        for a, b in zip(trees.leaves(one), trees.leaves(two), strict=True)
        if a.numel()
    )


def _ends(bound: Bound) -> dict[str, Any]:
    """Of a seed axis its first and its last."""
    at = torch.tensor([0, len(trees.leaves(bound.meta)[0]) - 1])
    meta, constants = trees.index((bound.meta, bound.constants), at)
    return {"meta": meta, "constants": constants, "numbers": {name: own[at] for name, own in bound.numbers.items()}}


def _said(experiment: Experiment) -> tuple[object, ...]:
    """What an algorithm says of itself, which may depend on its options."""
    algorithm = experiment.algorithm
    return set(algorithm.claims), algorithm.order, algorithm.trains, tuple(algorithm.statistics)


def _of_one_seed(experiment: Experiment) -> Bound:
    return bind(replace(experiment, settings=replace(experiment.settings, seeds=experiment.settings.seeds[:1])))


def _episodes(experiment: Experiment, seeds: int) -> Episode:
    """Training episodes, [1, seeds, meta-batch]; all seeds have the same."""
    device = device_of(experiment.settings.device)
    drawn = trees.cast(draw(experiment.task, FEW, 0, "train", 0, device), torch.float32, device)
    return trees.tree_map(lambda leaf: leaf.expand(1, seeds, *leaf.shape), drawn)


def _moments(episodes: Episode) -> list[tuple[Episode, torch.Tensor]]:
    """An episode, at both ends of training: an algorithm may begin otherwise than it ends."""
    one = trees.index(episodes, (0, slice(None), slice(0, 1)))
    return [(one, torch.tensor(now, device=one.support.y.device)) for now in (0.0, 1.0)]


def _leaves(bound: Bound) -> Any:
    return trees.tree_map(lambda leaf: leaf.detach().clone().requires_grad_(), bound.meta)


def _gradient(bound: Bound, episode: Episode, progress: torch.Tensor) -> Any:
    return EAGER["loop"](bound, "mean")(_leaves(bound), episode, progress).gradient
