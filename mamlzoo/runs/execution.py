"""Train, validate, test: an experiment, or several side by side, as a generator that can go on from checkpoints."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from mamlzoo import trees
from mamlzoo.contracts.data import MetaParams
from mamlzoo.contracts.plugins import Model
from mamlzoo.contracts.return_values import check_remarks
from mamlzoo.discovery.blame import blamed
from mamlzoo.engine.adaptation import mapping_for
from mamlzoo.engine.batch_norm import batch_norms, left_out
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.divided_plans import prepare_divided
from mamlzoo.engine.episodes import TestSet, TrainingStream
from mamlzoo.engine.evaluation import MetricValues, evaluate
from mamlzoo.engine.memory import peak_memory
from mamlzoo.engine.outer_optimizer import Part
from mamlzoo.engine.placement import device_of
from mamlzoo.engine.plan_choice import Choice
from mamlzoo.engine.side_by_side import (
    joined,
    joined_bounds,
    joined_states,
    kept,
    records_of,
    states_of,
    values_of,
)
from mamlzoo.engine.training import TrainingRecord, TrainingState, train
from mamlzoo.engine.workers import ALONE, Workers
from mamlzoo.errors import MamlzooError
from mamlzoo.experiments.best_theta import better
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.experiments.events import Event, Events, Listener
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.metrics import Evaluation
from mamlzoo.experiments.result import Result, Timing
from mamlzoo.experiments.seed_axis import division_of, own, whole
from mamlzoo.experiments.transduction import TRANSDUCTIVE
from mamlzoo.runs.config import config_of
from mamlzoo.runs.setup import bind, initial
from mamlzoo.runs.watchers import watched
from mamlzoo.tables import count as count_of

E = TypeVar("E")
M = TypeVar("M")
T = TypeVar("T")
Told = Generator[Sequence[Event | None], None, T]
"""For each of several experiments what it tells, or None."""
NORMS = {
    "batch": TRANSDUCTIVE,
    "support": "batch norm takes the statistics of the support set, so predictions do not depend on each other",
    "running": "batch norm takes the running statistics that the network came with",
}
"""What is said of a network with batch norms."""
BESIDE = "; side by side with "
"""In why a plan was chosen, what stands before who else was trained by it."""
NOTHING = Choice("none", "there is nothing to train")


def events(
    experiment: Experiment, config: dict[str, Any], start: Checkpoint | None = None, pauses: Sequence[int] = ()
) -> Events[Result]:
    """Train, then test; nothing is printed or saved.

    At once, after every quarter of a second of training and after the last meta-step it yields a checkpoint.
    The tensors of a checkpoint are those that training goes on with: copy or write what you keep.

    Args:
        config: of the experiment, for the result.
        start: go on from here, to the same bits as without the stop.
        pauses: there is a checkpoint at multiples of these numbers of meta-steps, too.

    Raises:
        UsageError: the combination cannot work; before anything is trained.
    """
    with contextlib.closing(side_by_side([experiment], [config], [start], pauses)) as told:
        (result,) = yield from _mapped(told, _only_one)
        return result


def side_by_side(
    experiments: Sequence[Experiment],
    configs: Sequence[dict[str, Any]],
    starts: Sequence[Checkpoint | None],
    pauses: Sequence[int] = (),
    workers: Workers = ALONE,
) -> Generator[Sequence[Event | None], None, list[Result]]:
    """The same of several experiments at once, which differ in numbers alone (`companions`).

    Each has the results that it has alone, but for rounding. One that ends before the others, by its patience or since
    all of its seeds have diverged, keeps the θ that it ended with.

    Yields:
        for each experiment what it tells, or None; the same event for all is told once of all.

    Args:
        starts: all at the same meta-step.
        workers: that make one experiment together. Each tells the same and has the same result, but that checkpoints on
            the way have the θ of the worker's own seeds alone; `whole` joins them.
    """
    with experiments[0].settings.in_force():
        execution = _Execution(experiments, configs, starts, workers)
        yield from execution.train(pauses)
        return (yield from execution.test())


def finished(events: Generator[E, None, T], tell: Callable[[E], object] = lambda event: None) -> T:
    """What events end in, each of them told as it comes."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            ended: T = end.value
            return ended
        tell(event)


def run(experiment: Experiment, progress: bool | Listener | None = None) -> Result:
    """Train and test; nothing is saved.

    Args:
        progress: True for a bar, or a function, which is called with the experiment and every event.
    """
    with watched(progress) as watcher:
        return finished(events(experiment, config_of(experiment)), functools.partial(watcher, experiment))


class _Execution:
    """Where each of several experiments stands, and what they do together."""

    def __init__(
        self,
        experiments: Sequence[Experiment],
        configs: Sequence[dict[str, Any]],
        starts: Sequence[Checkpoint | None],
        workers: Workers,
    ) -> None:
        self._experiments, self._configs = experiments, configs
        self._first, self._settings = experiments[0], experiments[0].settings
        self._device = device_of(self._settings.device)
        begun = [_begun(one, start, self._device) for one, start in zip(experiments, starts, strict=True)]
        self._division = division_of(self._first, workers, len(experiments))
        self._bound = self._division.bound(joined_bounds([bound for bound, _ in begun]))
        self._at = [own(at, self._division) for _, at in begun]
        if workers.count > 1 and starts[0] is None:
            self._remark(f"made by {workers.count} workers, each with {self._division.of} of its own")

    def train(self, pauses: Sequence[int]) -> Told[None]:
        settings, interval = self._settings, self._settings.validation_interval
        yield self._at
        if self._live():
            with blamed(self._first, "training"):
                training = yield from self._prepare([*pauses, *([interval] if interval else [])])
                yield self._at
                while live := self._live():
                    item, seconds = _timed(lambda: next(training, None))
                    self._spend(live, train=seconds)
                    if item is None:
                        break
                    if isinstance(item, TrainingRecord):
                        records = self._only(live, records_of(item, len(self._at)))
                        self._update(records, lambda at, record: replace(at, history=[*at.history, record]))
                        yield records
                        continue
                    states = self._only(live, states_of(item, len(self._at)))
                    self._update(states, lambda at, state: replace(at, training=state))
                    if interval and item.step % interval == 0 and item.step < settings.iterations:
                        yield from self._validate(live)
                    yield self._only(live, self._at)
                    if left := self._live():  # of those that have ended, training is to change nothing any more
                        ended = self._only(live - left, self._at)
                        self._update(ended, lambda at, _: replace(at, training=kept(at.training)))
        unmeasured = {
            row
            for row, at in enumerate(self._at)
            if interval and not any(record.step == at.training.step for record in at.validation)
        }
        if unmeasured:
            with blamed(self._first, "validation"):
                yield from self._validate(unmeasured)
        yield self._at

    def _live(self) -> set[int]:
        """Those that are still to be trained."""
        pairs = zip(self._experiments, self._at, strict=True)
        return {row for row, (experiment, at) in enumerate(pairs) if not experiment.is_trained(at)}

    def _only(self, rows: Collection[int], each: Sequence[T]) -> list[T | None]:
        return [value if row in rows else None for row, value in enumerate(each)]

    def _update(self, each: Sequence[T | None], change: Callable[[Checkpoint, T], Checkpoint]) -> None:
        self._at = [at if new is None else change(at, new) for at, new in zip(self._at, each, strict=True)]

    def _prepare(self, pauses: Sequence[int]) -> Told[Generator[TrainingRecord | TrainingState, None, TrainingState]]:
        settings, begun, count = self._settings, self._at[0].plan, len(self._at)
        division, seeds = self._division, (count * settings.seeds)[self._division.own_seeds]
        stream = TrainingStream(self._first.task, seeds, settings.meta_batch, self._device, tasks=division.own_tasks)
        wanted = settings.training()
        if count > 1:
            each = [one.settings for one in self._experiments]
            parts = [Part(own.outer_lr, own.group_lrs, own.optimizer_options) for own in each]
            wanted = replace(wanted, parts=parts)
        if begun != NOTHING:
            wanted = replace(wanted, plan=begun.plan)
        before = time.perf_counter()
        steps, choice = yield from _to_all(count, prepare_divided(self._bound, stream, wanted, division))
        self._spend(range(count), prepare=time.perf_counter() - before)
        step, beside = self._at[0].training.step, count_of(count - 1, "other cell") if count > 1 else ""
        if begun == NOTHING:
            choice = Choice(choice.plan, choice.why + (f"{BESIDE}{beside}" if beside else ""))
            self._at = [replace(at, plan=choice) for at in self._at]
        elif choice.plan != begun.plan:
            self._remark(f"begun by {begun.plan}, from meta-step {step} on by {choice.plan} ({choice.why})")
        else:
            self._at = [_beside(at, beside) for at in self._at]
        yield [self._at[0].plan if choice.plan == begun.plan else choice] * count
        start = joined_states([at.training for at in self._at])
        return train(stream, steps, settings.iterations, wanted.schedule, start=start, pauses=pauses)

    def _validate(self, rows: Collection[int]) -> Told[None]:
        settings = self._settings
        episodes = TestSet(self._first.task, settings.valid_tasks, settings.test_seed, self._device, split="valid")
        found = yield from self._evaluate([at.training.judged for at in self._at], episodes)
        told: list[Event | None] = [None] * len(found)
        for row in rows:
            self._at[row], told[row] = self._validated(row, found[row])
        yield told

    def _validated(self, row: int, values: MetricValues) -> tuple[Checkpoint, ValidationRecord]:
        """Where an experiment stands after a validation."""
        experiment, settings, at = self._experiments[row], self._settings, self._at[row]
        metric = next(iter(values))
        record = ValidationRecord(at.training.step, metric, values[metric][..., -1].astype(np.float64).mean(1))
        settled = experiment.ran_out(at.validation)
        at = replace(at, validation=[*at.validation, record])
        if settings.keeps_best:
            sign = 1.0 if metric in experiment.task.higher_is_better else -1.0
            at = replace(at, best=better(at, record, sign, settled, self._division.own_seeds))
        if record.step < settings.iterations and experiment.ran_out(at.validation).all():
            seeds = " for every seed" if len(settings.seeds) > 1 else ""
            waited = f"{count_of(settings.patience or 0, 'validation')} in a row brought no better one{seeds}"
            text = f"training ended at meta-step {record.step} of {settings.iterations}: {waited}"
            at = replace(at, remarks=[*at.remarks, text])
        return at, record

    def _evaluate(self, metas: Sequence[MetaParams], episodes: TestSet) -> Told[list[MetricValues]]:
        settings, task, count = self._settings, self._first.task, len(metas)
        before = time.perf_counter()
        how = mapping_for(self._bound, task, episodes, settings.plan)
        meta, threads = joined(metas), settings.most_threads
        values = yield from _to_all(
            count,
            evaluate(
                self._bound, meta, task, episodes, settings.test_steps, how, settings.chunk, threads, self._division
            ),
        )
        self._spend(range(count), evaluate=time.perf_counter() - before)
        return values_of(values, count)

    def test(self) -> Told[list[Result]]:
        settings = self._settings
        episodes = TestSet(self._first.task, settings.test_tasks, settings.test_seed, self._device)
        with blamed(self._first, "testing"):
            found = yield from self._evaluate([at.meta for at in self._at], episodes)
        memory = sum(self._division.workers.gathered(peak_memory(self._device)))
        self._at = [whole(at, self._division) for at in self._at]
        return [self._result(row, values, memory) for row, values in enumerate(found)]

    def _result(self, row: int, values: MetricValues, memory: float) -> Result:
        experiment, settings, at = self._experiments[row], self._settings, self._at[row]
        diverged, tasks = at.training.diverged, at.training.step * settings.meta_batch * len(settings.seeds)
        return Result(
            config=self._configs[row],
            evaluation=Evaluation(
                values,
                [seed for seed in range(len(settings.seeds)) if seed not in diverged],
                next(iter(values)) in experiment.task.higher_is_better,
            ),
            checkpoint=at,
            timing=Timing(
                prepare_seconds=at.seconds.prepare,
                train_seconds=at.seconds.train,
                evaluate_seconds=at.seconds.evaluate,
                tasks_per_second=tasks / max(at.seconds.train, 1e-9),
                peak_memory_mb=memory,
            ),
            experiment=experiment,
        )

    def _spend(self, rows: Collection[int], **seconds: float) -> None:
        """Of what these spent together, each has spent an equal share."""
        spending = self._only(rows, self._at)
        self._update(spending, lambda at, _: replace(at, seconds=at.seconds.and_share(len(rows), seconds)))

    def _remark(self, text: str) -> None:
        self._at = [replace(at, remarks=[*at.remarks, text]) for at in self._at]


def _begun(experiment: Experiment, start: Checkpoint | None, device: torch.device) -> tuple[Bound, Checkpoint]:
    """An experiment's networks and θ⁰, and where it stands."""
    bound = bind(experiment)
    if start is None:
        meta = initial(experiment, bound)
        bound = replace(bound, meta=meta)
        with blamed(experiment, "set-up"):
            task = experiment.task
            remarks = check_remarks(task, task.remarks()) + _remarks(bound, experiment.model)
        start = Checkpoint(NOTHING, TrainingState(0, meta), remarks=remarks)
    others = [start.training.average, start.best and start.best.meta]
    for theta in [start.training.meta, *(theta for theta in others if theta is not None)]:
        other = trees.difference(theta, bound.meta)
        if other:
            raise MamlzooError(f"the checkpoint has another θ than the model: {other}")
    there, average = functools.partial(_on, device), start.training.average
    training = replace(
        start.training,
        meta=there(start.training.meta),
        average=None if average is None else there(average),
    )
    return bound, replace(start, training=training)


def _beside(at: Checkpoint, others: str) -> Checkpoint:
    """An experiment that goes on beside others than it was trained with before, if so."""
    why, _, before = at.plan.why.partition(BESIDE)
    if before == others:
        return at
    was, now = (f"side by side with {who}" if who else "alone" for who in (before, others))
    remark = f"begun {was}, from meta-step {at.training.step} on {now}: the last bits may differ"
    plan = Choice(at.plan.plan, why + (f"{BESIDE}{others}" if others else ""))
    return replace(at, plan=plan, remarks=[*at.remarks, remark])


def _to_all(count: int, events: Generator[Event, None, T]) -> Told[T]:
    """Events that are of all experiments alike."""
    return _mapped(events, lambda event: [event] * count)


def _only_one(told: Sequence[Event | None]) -> Event:
    """What a single experiment tells: there is nobody else to tell something."""
    (event,) = told
    assert event is not None
    return event


def _mapped(events: Generator[E, None, T], change: Callable[[E], M]) -> Generator[M, None, T]:
    """The same events, each changed, to the same end."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            ended: T = end.value
            return ended
        yield change(event)


def _on(device: torch.device, meta: MetaParams) -> MetaParams:
    moved: MetaParams = trees.tree_map(lambda leaf: leaf.to(device), meta)
    return moved


def _timed(function: Callable[[], T]) -> tuple[T, float]:
    before = time.perf_counter()
    return function(), time.perf_counter() - before


def _remarks(bound: Bound, model: Model) -> list[str]:
    remarks = check_remarks(bound.algorithm, bound.algorithm.remarks(trees.index(bound.meta, 0)))
    leaves = trees.leaves(bound.meta)
    if not bound.learner.networks:
        remarks.append(f"model '{model.name}' has no part in it: algorithm '{bound.algorithm.name}' wants no network")
    elif len(leaves[0]) > 1 and all(bool((leaf == leaf[:1]).all()) for leaf in leaves):
        remarks.append("all seeds start from the same θ⁰")
    if batch_norms(bound.learner.networks.values()):
        remarks.append(NORMS[bound.learner.norms])
    if bound.left_out:
        remarks.append(left_out(list(bound.left_out)))
    return remarks
