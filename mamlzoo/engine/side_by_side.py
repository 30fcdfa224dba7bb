"""Several experiments on one seed axis: the seeds of the first, those of the second, …; joined, and apart again.

Seeds share nothing. So neither do experiments that differ in numbers alone: each is trained as if it were alone, but
for rounding. All have as many seeds.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from mamlzoo import trees
from mamlzoo.contracts.data import MetaParams
from mamlzoo.contracts.numeric_options import numeric_options
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.evaluation import MetricValues
from mamlzoo.engine.steps import Measured
from mamlzoo.engine.training import TrainingRecord, TrainingState

T = TypeVar("T")


def joined_bounds(bounds: Sequence[Bound]) -> Bound:
    """All seeds as one, each with the numbers of its own experiment where these differ.

    Args:
        bounds: of one algorithm, whose options differ in numbers at most.
    """
    if len(bounds) == 1:
        return bounds[0]
    meta, constants = joined([(bound.meta, bound.constants) for bound in bounds])
    seeds, own = seeds_of(bounds[0].meta), [numeric_options(bound.algorithm) for bound in bounds]
    numbers = {
        name: torch.tensor([each[name] for each in own], dtype=torch.float64).repeat_interleave(seeds)
        for name in own[0]
        if len({each[name] for each in own}) > 1
    }
    return replace(bounds[0], meta=meta, constants=constants, numbers=numbers)


def joined(each: Sequence[T], dim: int = 0) -> T:
    """Trees of one structure as one, along an axis of theirs."""
    return each[0] if len(each) == 1 else trees.tree_map(lambda *leaves: torch.cat(leaves, dim), each[0], *each[1:])


def joined_states(states: Sequence[TrainingState]) -> TrainingState:
    """Where training of all stands.

    Raises:
        ValueError: they have not made as many meta-steps.
    """
    if len(states) == 1:
        return states[0]
    if len({state.step for state in states}) > 1:
        raise ValueError("these have made different numbers of meta-steps")
    averages = [state.average for state in states if state.average is not None]
    recent = [state.recent for state in states if state.recent is not None]
    return TrainingState(
        states[0].step,
        joined([state.meta for state in states]),
        [slots for state in states for slots in state.optimizer],
        joined(recent, 1) if recent else None,
        {
            at * seeds_of(state.meta) + row: step
            for at, state in enumerate(states)
            for row, step in state.diverged.items()
        },
        joined(averages) if averages else None,
    )


def states_of(state: TrainingState, count: int) -> list[TrainingState]:
    """Where training of each of so many experiments stands."""
    if count == 1:
        return [state]
    optimizers = _shares(len(state.optimizer), count)
    return [
        TrainingState(
            state.step,
            trees.index(state.meta, rows),
            state.optimizer[own],
            None if state.recent is None else trees.index(state.recent, (slice(None), rows)),
            _of_rows(state.diverged, rows),
            None if state.average is None else trees.index(state.average, rows),
        )
        for rows, own in zip(_shares(seeds_of(state.meta), count), optimizers, strict=True)
    ]


def records_of(record: TrainingRecord, count: int) -> list[TrainingRecord]:
    """What happened to each of so many experiments."""
    return [
        TrainingRecord(
            record.step,
            record.losses[rows],
            {name: values[rows] for name, values in record.logs.items()},
            _of_rows(record.diverged, rows),
        )
        for rows in _shares(len(record.losses), count)
    ]


def values_of(values: MetricValues, count: int) -> list[MetricValues]:
    """The metrics of each of so many experiments."""
    each: list[MetricValues] = [{} for _ in range(count)]
    for name, rows in values.items():
        for own, part in zip(each, rows.reshape(count, -1, *rows.shape[1:]), strict=True):
            own[name] = part
    return each


def kept(state: TrainingState) -> TrainingState:
    """The same in tensors of its own, which training does not go on with."""
    recent: Measured | None = None if state.recent is None else trees.tree_map(torch.clone, state.recent)
    return replace(
        state,
        meta=trees.tree_map(torch.clone, state.meta),  # views of all seeds' θ, of which a deep copy would copy all
        optimizer=copy.deepcopy(list(state.optimizer)),
        recent=recent,
        average=None if state.average is None else trees.tree_map(torch.clone, state.average),
    )


def seeds_of(meta: MetaParams) -> int:
    """How many seeds a θ has."""
    return len(trees.leaves(meta)[0])


def _shares(total: int, count: int) -> list[slice]:
    """Where each of so many has its equal share."""
    size = total // count
    return [slice(at * size, (at + 1) * size) for at in range(count)]


def _of_rows(diverged: Mapping[int, int], rows: slice) -> dict[int, int]:
    return {row - rows.start: step for row, step in diverged.items() if rows.start <= row < rows.stop}
