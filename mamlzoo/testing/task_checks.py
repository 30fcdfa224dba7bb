"""Checks of tasks."""

from __future__ import annotations

from itertools import chain
from typing import Any, get_args

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts import inputs
from mamlzoo.contracts.data import Batch, Episode, Spec, Split
from mamlzoo.contracts.inputs import Input
from mamlzoo.contracts.plugins import Task
from mamlzoo.engine.episodes import BLOCKS_TRIED, derive_seed
from mamlzoo.testing.checks import check, require

SPLITS: tuple[Split, ...] = get_args(Split)
MANY = 8
SAMPLED = 256
"""Episodes of each split that are looked at for examples in common."""
SHARED, CHANCE = 0.01, 0.05
"""The share of a split's examples that another may have; and that of common inputs with several targets, from which on
they are points of a grid."""


@check("task")
def shapes_and_dtypes_follow_the_spec(task: Task) -> None:
    """Inputs and targets of every split have the shape and type that the spec says.

    x is [episodes, examples, *input_shape], or several such tensors where the spec says so; y is [episodes, examples,
    target_size], or for a classification int64 [episodes, examples] with classes 0 … output_size − 1. A run casts
    floating numbers to the precision it computes in; make them float32.
    """
    spec = task.spec
    for split in SPLITS:
        episodes = sample(task, MANY, split)
        require(isinstance(episodes, Episode), f"sample returned a {type(episodes).__name__}, no mamlzoo.Episode")
        for part, batch in episodes.sets.items():
            require(isinstance(batch, Batch), f"{part} is a {type(batch).__name__}, no mamlzoo.Batch")
            where = f"{split} {part}"
            y, tensors = batch.y, inputs.named_tensors(spec.structure, batch.x)
            require(tensors, f"{where}.x is not {inputs.described(spec.structure)}, as the spec says")
            lead = [MANY, next(iter(tensors.values())).shape[1:2].numel()]
            for name, wanted in inputs.named(spec.structure).items():
                x, at = tensors[name], f"{where}.x{name}"
                require(x.ndim >= 2, f"{at} has the shape {list(x.shape)}, without an axis of examples")
                _require_shape(at, x, [*lead, *wanted.shape])
                right = torch.float32 if wanted.kind == "float" else x.dtype
                require(x.dtype == right and wanted.holds(x.dtype), f"{at} is {x.dtype}, not {_dtype(wanted)}")
            if spec.kind == "classification":
                _require_shape(f"{where}.y", y, lead)
                require(y.dtype == torch.int64, f"{where}.y is {y.dtype}, not torch.int64")
                low, high = int(y.min()), int(y.max())
                inside = low >= 0 and high < spec.output_size
                require(inside, f"{where}.y has classes {low} … {high}; they must be 0 … {spec.output_size - 1}")
            else:
                _require_shape(f"{where}.y", y, [*lead, *spec.target_shape])
                require(y.dtype == torch.float32, f"{where}.y is {y.dtype}, not torch.float32")


@check("task")
def data_are_finite(task: Task) -> None:
    """No number of any split is NaN or infinite.

    Look for a division by zero or a logarithm in `sample`, or a hole in the data.
    """
    for split in SPLITS:
        for name, leaf in trees.named_leaves(sample(task, SAMPLED, split)):
            holes = int((~leaf.isfinite()).sum())
            require(not holes, f"{split} {name}: {holes} of {leaf.numel()} numbers are not finite")


@check("task")
def same_seed_gives_same_data(task: Task) -> None:
    """The same state of the generator gives the same episodes, whatever torch's global generator does.

    Draw every random number from `generator`: torch.rand(…, generator=generator).
    """
    for split in SPLITS:
        drawn = []
        for state in (0, 1):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(state)
                drawn.append(sample(task, MANY, split))
        for (name, one), two in zip(trees.named_leaves(drawn[0]), trees.leaves(drawn[1]), strict=True):
            require(same(one, two), f"{split} {name} differs between two draws from one seed")


@check("task")
def other_seed_gives_other_data(task: Task) -> None:
    """Another state of the generator gives other episodes.

    Use `generator`, and do not seed one of your own.
    """
    for split in SPLITS[:1]:  # a finite set of test episodes may come in a fixed order
        one, two = (sample(task, MANY, split, seed) for seed in (0, 1))
        alike = all(map(same, trees.leaves(one), trees.leaves(two)))
        require(not alike, f"{split}: two seeds give the same {MANY} episodes")


@check("task")
def any_count_can_be_drawn(task: Task) -> None:
    """One episode or many: every tensor begins with as many rows as were asked for.

    Beware of squeeze() without an axis, and of data of which there are fewer than asked for.
    """
    for count in (1, 2, 3, 100):
        for name, leaf in trees.named_leaves(sample(task, count, "train")):
            require(leaf.ndim and len(leaf) == count, f"{count} asked for: {name} has the shape {list(leaf.shape)}")


@check("task")
def every_draw_has_one_shape(task: Task) -> None:
    """All episodes of a split have the same numbers of examples, and tensors of the same dtypes, in every draw.

    Draw as many examples each time, or choose how many by an option; a draw must not choose its own size. The splits
    may differ: a test may have a grid.
    """
    for split in SPLITS:
        first = sample(task, 2, split)
        for seed in (0, 1):
            for position in range(BLOCKS_TRIED):
                drawn = sample(task, 2 + position, split, seed, position)
                for (name, one), two in zip(trees.named_leaves(first), trees.leaves(drawn), strict=True):
                    sizes = [(list(leaf.shape[1:]), leaf.dtype) for leaf in (one, two)]
                    found = " and ".join(f"{shape} in {dtype}" for shape, dtype in sizes)
                    require(sizes[0] == sizes[1], f"{split} {name}: two draws have episodes of {found}")


@check("task")
def splits_are_disjoint(task: Task) -> None:
    """No episode of one split consists of examples that another split has too, nor do they share rows of data.

    Keep the functions, classes, files or patients of the three splits apart. A toy whose splits are meant to be the
    same, or discrete data whose rows coincide by chance, says so in exempt_from.
    """
    drawn = {split: sample(task, SAMPLED, split) for split in SPLITS}
    examples = {split: _examples(episodes) for split, episodes in drawn.items()}
    pairs: list[tuple[Split, Split]] = [("valid", "train"), ("test", "train"), ("test", "valid")]
    for split, other in pairs:
        known = set(chain.from_iterable(examples[other]))
        shared = sum(episode <= known for episode in examples[split])
        require(not shared, f"{shared} of {SAMPLED} {split} episodes consist of examples that {other} has too")
    rows = {split: _rows(task.spec, episodes) for split, episodes in drawn.items()}
    for split, other in pairs:
        common = [(targets, rows[other][x]) for x, targets in rows[split].items() if x in rows[other]]
        copied = sum(len(one) == 1 and one == two for one, two in common)
        by_chance = copied < SHARED * len(rows[split]) or len(common) - copied >= CHANCE * copied
        require(
            not copied or by_chance,
            f"{copied} of {len(rows[split])} different {split} examples are in {other} too",
        )


@check("task")
def query_is_not_the_support(task: Task) -> None:
    """Fewer than half of the query examples are in the support set, too.

    Draw the query set by itself, or keep rows of the data for it that the support set does not take.
    """
    for split in SPLITS:
        drawn = sample(task, MANY, split)
        support, query = (_examples(Episode(batch, batch)) for batch in drawn)
        copied = sum(len(asked & seen) for asked, seen in zip(query, support, strict=True))
        asked = sum(map(len, query))
        require(
            2 * copied < asked, f"{copied} of {asked} query examples of {MANY} {split} episodes are in the support set"
        )


def sample(task: Task, count: int, split: Split, seed: int = 0, position: int = 0) -> Episode:
    """As an experiment of that seed draws a block."""
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(derive_seed(seed, split, position)))


def _examples(episodes: Episode) -> list[set[bytes]]:
    """Of each episode, its examples, support and query, as bytes of (x, y)."""
    found: list[set[bytes]] = [set() for _ in episodes.support.y]
    for batch in episodes:
        rows = torch.cat([_vectors(batch.x).double(), batch.y.reshape(*batch.y.shape[:2], -1).double()], -1)
        for at, known in enumerate(found):
            known |= {row.tobytes() for row in rows[at][_there(batch)[at]].numpy()}
    return found


def _vectors(x: Any) -> Tensor:
    """Inputs as one vector for each example, [episodes, examples, numbers]."""
    return torch.cat([leaf.reshape(*leaf.shape[:2], -1) for leaf in trees.leaves(x)], -1)


def _there(batch: Batch) -> Tensor:
    """Which examples are no padding, [episodes, examples]."""
    return torch.ones(batch.y.shape[:2], dtype=torch.bool) if batch.mask is None else batch.mask


def _dtype(wanted: Input) -> str:
    return {"float": "torch.float32", "integer": "torch.int64", "bool": "torch.bool"}[wanted.kind]


def _rows(spec: Spec, episodes: Episode) -> dict[bytes, set[bytes]]:
    """The targets of each different input of all episodes, as bytes.

    Of a classification all targets are one, since classes are numbered anew in each episode; and inputs of whole
    numbers are left out of it, which coincide by chance.
    """
    found: dict[bytes, set[bytes]] = {}
    for batch in episodes:
        there = _there(batch)
        rows, y = _vectors(batch.x)[there], batch.y[there]
        if spec.kind == "classification" and torch.equal(rows, rows.round()):
            continue
        targets = torch.zeros(len(rows), 1) if spec.kind == "classification" else y
        for one, target in zip(rows.numpy(), targets.numpy(), strict=True):
            found.setdefault(one.tobytes(), set()).add(target.tobytes())
    return found


def _require_shape(where: str, tensor: Tensor, shape: list[int]) -> None:
    require(list(tensor.shape) == shape, f"{where} has the shape {list(tensor.shape)}; the spec says {shape}")


def same(one: Tensor, two: Tensor) -> bool:
    """Whether two tensors are equal, NaN included."""
    return one.shape == two.shape and torch.equal(torch.nan_to_num(one), torch.nan_to_num(two))
