"""Train, validate, test: an experiment as a generator of events that can go on from a checkpoint."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mamlzoo import trees
from mamlzoo.contracts.data import MetaParams
from mamlzoo.contracts.plugins import Model
from mamlzoo.contracts.return_values import check_remarks
from mamlzoo.discovery.blame import blamed
from mamlzoo.engine.adaptation import mapping_for
from mamlzoo.engine.batch_norm import batch_norms, left_out
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.episodes import TestSet, TrainingStream
from mamlzoo.engine.evaluation import MetricValues, evaluate
from mamlzoo.engine.memory import peak_memory
from mamlzoo.engine.placement import device_of, matrix_products_in
from mamlzoo.engine.plan_choice import Choice, prepare
from mamlzoo.engine.training import TrainingRecord, TrainingState, train
from mamlzoo.errors import MamlzooError
from mamlzoo.experiments.checkpoint import Best, Checkpoint, Seconds, ValidationRecord
from mamlzoo.experiments.events import Events, Listener
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.metrics import Evaluation
from mamlzoo.experiments.result import Result, Timing
from mamlzoo.runs.config import config_of
from mamlzoo.runs.setup import bind, initial
from mamlzoo.runs.watchers import watched
from mamlzoo.tables import count

E = TypeVar("E")
T = TypeVar("T")
NORMS = {
    "batch": "transductive: batch norm sees the statistics of all query inputs of an episode at once",
    "support": "batch norm takes the statistics of the support set, so predictions do not depend on each other",
    "running": "batch norm takes the running statistics that the network came with",
}
"""What is said of a network with batch norms."""
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
    with matrix_products_in(experiment.settings.precision):
        execution = _Execution(experiment, config, start)
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
    def __init__(self, experiment: Experiment, config: dict[str, Any], start: Checkpoint | None) -> None:
        self._experiment, self._config, self._settings = experiment, config, experiment.settings
        self._device = device_of(experiment.settings.device)
        self._bound = bind(experiment)
        if start is None:
            meta = initial(experiment, self._bound)
            self._bound = replace(self._bound, meta=meta)
            with blamed(experiment, "set-up"):
                remarks = _remarks(self._bound, experiment.model)
            start = Checkpoint(NOTHING, TrainingState(0, meta), remarks=remarks)
        kept = [start.training.average, start.best and start.best.meta]
        for theta in [start.training.meta, *(theta for theta in kept if theta is not None)]:
            other = trees.difference(theta, self._bound.meta)
            if other:
                raise MamlzooError(f"the checkpoint has another θ than the model: {other}")
        there, average = functools.partial(_on, self._device), start.training.average
        training = replace(
            start.training,
            meta=there(start.training.meta),
            average=None if average is None else there(average),
        )
        self._at = replace(start, training=training)

    def train(self, pauses: Sequence[int]) -> Events[None]:
        settings, interval = self._settings, self._settings.validation_interval
        yield self._at
        if not self._experiment.is_trained(self._at):
            with blamed(self._experiment, "training"):
                training = yield from self._prepare([*pauses, *([interval] if interval else [])])
                yield self._at
                while True:
                    item, seconds = _timed(lambda: next(training, None))
                    self._spend(train=seconds)
                    if item is None:
                        break
                    if isinstance(item, TrainingRecord):
                        self._at = replace(self._at, history=[*self._at.history, item])
                        yield item
                        continue
                    self._at = replace(self._at, training=item)
                    if interval and item.step % interval == 0 and item.step < settings.iterations:
                        yield from self._validate()
                    yield self._at
                    if self._experiment.is_trained(self._at):
                        break
        if interval and not any(record.step == self._at.training.step for record in self._at.validation):
            with blamed(self._experiment, "validation"):
                yield from self._validate()
        yield self._at

    def _prepare(self, pauses: Sequence[int]) -> Events[Generator[TrainingRecord | TrainingState, None, TrainingState]]:
        settings, begun = self._settings, self._at.plan
        stream = TrainingStream(self._experiment.task, settings.seeds, settings.meta_batch, self._device)
        wanted = settings.training()
        if begun != NOTHING:
            wanted = replace(wanted, plan=begun.plan)
        before = time.perf_counter()
        steps, choice = yield from prepare(self._bound, stream, wanted)
        self._spend(prepare=time.perf_counter() - before)
        if begun == NOTHING:
            self._at = replace(self._at, plan=choice)
        elif choice.plan != begun.plan:
            step = self._at.training.step
            self._remark(f"begun by {begun.plan}, from meta-step {step} on by {choice.plan} ({choice.why})")
        yield self._at.plan if choice.plan == begun.plan else choice
        return train(stream, steps, settings.iterations, wanted.schedule, start=self._at.training, pauses=pauses)

    def _validate(self) -> Events[None]:
        experiment, settings = self._experiment, self._settings
        episodes = TestSet(experiment.task, settings.valid_tasks, settings.test_seed, self._device, split="valid")
        values = yield from self._evaluate(self._at.training.judged, episodes)
        metric = next(iter(values))
        means = values[metric][..., -1].astype(np.float64).mean(1)
        record = ValidationRecord(self._at.training.step, metric, means)
        settled = experiment.ran_out(self._at.validation)
        self._at = replace(self._at, validation=[*self._at.validation, record])
        if settings.keeps_best:
            sign = 1.0 if metric in experiment.task.higher_is_better else -1.0
            self._at = replace(self._at, best=_better(self._at, record, sign, settled))
        if record.step < settings.iterations and experiment.ran_out(self._at.validation).all():
            seeds = " for every seed" if len(settings.seeds) > 1 else ""
            waited = f"{count(settings.patience or 0, 'validation')} in a row brought no better one{seeds}"
            self._remark(f"training ended at meta-step {record.step} of {settings.iterations}: {waited}")
        yield record

    def _evaluate(self, meta: MetaParams, episodes: TestSet) -> Events[MetricValues]:
        settings, task = self._settings, self._experiment.task
        before = time.perf_counter()
        how = mapping_for(self._bound, task, episodes, settings.plan)
        values = yield from evaluate(
            self._bound, meta, task, episodes, settings.test_steps, how, settings.chunk, settings.most_threads
        )
        self._spend(evaluate=time.perf_counter() - before)
        return values

    def test(self) -> Events[Result]:
        experiment, settings = self._experiment, self._settings
        episodes = TestSet(experiment.task, settings.test_tasks, settings.test_seed, self._device)
        with blamed(experiment, "testing"):
            values = yield from self._evaluate(self._at.meta, episodes)
        spent, diverged = self._at.seconds, self._at.training.diverged
        tasks = self._at.training.step * settings.meta_batch * len(settings.seeds)
        metric = next(iter(values))
        return Result(
            config=self._config,
            evaluation=Evaluation(
                values,
                [row for row in range(len(settings.seeds)) if row not in diverged],
                metric in experiment.task.higher_is_better,
            ),
            checkpoint=self._at,
            timing=Timing(
                prepare_seconds=spent.prepare,
                train_seconds=spent.train,
                evaluate_seconds=spent.evaluate,
                tasks_per_second=tasks / max(spent.train, 1e-9),
                peak_memory_mb=peak_memory(self._device),
            ),
            experiment=experiment,
        )

    def _spend(self, **seconds: float) -> None:
        spent = self._at.seconds
        self._at = replace(
            self._at, seconds=Seconds(**{name: getattr(spent, name) + seconds.get(name, 0.0) for name in spent._fields})
        )

    def _remark(self, text: str) -> None:
        self._at = replace(self._at, remarks=[*self._at.remarks, text])


def _better(at: Checkpoint, record: ValidationRecord, sign: float, settled: NDArray[np.bool_]) -> Best:
    """For each seed the best θ so far; the earlier one of two that are equally good.

    Args:
        settled: seeds whose best stays what it is.
    """
    meta, seeds = at.training.judged, len(record.values)
    if at.best is None:
        steps = np.full(seeds, record.step)
        return Best(trees.tree_map(torch.clone, meta), record.values, steps)
    old = at.best
    with np.errstate(invalid="ignore"):
        improved: NDArray[np.bool_] = (sign * record.values > sign * old.values) | np.isnan(old.values)
    improved &= ~settled
    chosen = torch.from_numpy(improved)

    def choose(new: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        return torch.where(chosen.to(new.device).reshape(-1, *[1] * (new.ndim - 1)), new, kept.to(new.device))

    return Best(
        trees.tree_map(choose, meta, old.meta),
        np.where(improved, record.values, old.values),
        np.where(improved, record.step, old.steps),
    )


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
