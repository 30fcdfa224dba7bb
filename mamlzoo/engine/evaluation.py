"""Evaluation as a generator: adapt to every test episode and measure after every step, for all seeds at once."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, Fast, MetaParams
from mamlzoo.contracts.plugins import Task
from mamlzoo.engine.adaptation import Adaptation
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.cpu import computing
from mamlzoo.engine.division import Division
from mamlzoo.engine.episodes import TestSet
from mamlzoo.engine.judgement import Judgement, pooled


class EvaluationProgress(NamedTuple):
    """How far the evaluation is, in adaptation steps of blocks of episodes."""

    done: int
    total: int

    def __repr__(self) -> str:
        return f"evaluated {self.done} of {self.total}"


MetricValues = dict[str, NDArray[np.float32]]
"""By metric, its value for every seed, test episode and number of adaptation steps: [seeds, episodes, steps + 1].

Of one that is pooled over episodes, as coverage, there is one value for all of them: [seeds, 1, steps + 1].
"""


def evaluate(
    bound: Bound,
    meta: MetaParams,
    task: Task,
    tests: TestSet,
    steps: int,
    plan: str,
    chunk: int | None = None,
    threads: int = 1,
    division: Division | None = None,
) -> Generator[EvaluationProgress, None, MetricValues]:
    """Adapt θ to the support set of every test episode; judge on its query set after 0, 1, … `steps` steps.

    An algorithm whose adaptation is complete at once is judged once, and all steps have that value.

    Args:
        meta: θ with its seed axis.
        plan: 'vmap' or 'loop'.
        chunk: episodes of each seed computed at once; None: what fits in the memory budget.
        threads: that compute.
        division: among workers; None: there are no others. Each gives the values of all.
    """
    adaptation = Adaptation(bound, task, plan)
    at_once = "complete-at-once" in bound.algorithm.claims
    chunk = chunk or adaptation.fitting_chunk(meta, next(tests.blocks()))
    own = slice(0, tests.size) if division is None else division.own_tests(tests.size)
    total = _count(tests, own, chunk) * (steps + 1)
    done, parts = 0, []
    for episodes in _pieces(tests, own, chunk):
        fast: Fast = None
        columns: list[Judgement] = []
        for step in range(steps + 1):
            if step and at_once:
                columns.append(columns[0])
            else:
                with computing(threads):
                    if step:
                        fast = adaptation.adapt(meta, fast, episodes.support, step, episodes.key)
                    else:
                        fast = adaptation.start(meta, episodes.support, episodes.key)
                    columns.append(adaptation.measure(meta, fast, episodes.query, episodes.key, episodes.support))
            done += 1
            yield EvaluationProgress(done, total)
        parts.append(trees.tree_map(lambda *leaves: torch.stack(leaves, 2), *columns))
    found = trees.tree_map(lambda *leaves: torch.cat(leaves, 1).cpu(), *parts)
    values, sums = found if division is None else division.all_seeds(division.all_tests(found, tests.size, 1))
    shares = {name: pooled(value.double().sum(1, keepdim=True)).float() for name, value in sums.items()}
    return {name: value.numpy() for name, value in (values | shares).items()}


def _count(tests: TestSet, own: slice, chunk: int) -> int:
    """How many pieces these episodes come in."""
    firsts = range(own.start // tests.block_length * tests.block_length, own.stop, tests.block_length)
    sizes = [min(own.stop, first + tests.block_length) - max(own.start, first) for first in firsts]
    return sum(math.ceil(size / chunk) for size in sizes)


def _pieces(tests: TestSet, own: slice, chunk: int) -> Iterator[Episode]:
    for block in tests.blocks(own):
        for first in range(0, len(block.support.y), chunk):
            yield trees.index(block, slice(first, first + chunk))
