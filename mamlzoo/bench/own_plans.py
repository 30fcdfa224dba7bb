"""mamlzoo's own plans as contenders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mamlzoo.bench.workload import CannotRunError, Contender, Work
from mamlzoo.engine.blocks import Block, blocks
from mamlzoo.engine.cpu import computing
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.placement import device_of
from mamlzoo.engine.plan_choice import prepare
from mamlzoo.runs.execution import finished
from mamlzoo.runs.setup import bind

ENDLESS = 10**9
"""Meta-steps that no measurement reaches; `progress` stays near 0."""


class Own(Contender):
    """Trains by one plan, as a run does but for the records."""

    def __init__(self, work: Work) -> None:
        experiment = work.experiment()
        stream = TrainingStream(
            experiment.task, experiment.settings.seeds, work.meta_batch, device_of(experiment.settings.device)
        )
        training = replace(
            experiment.settings.training(), iterations=ENDLESS, plan=work.contender, threads=work.threads
        )
        self._steps, choice = finished(prepare(bind(experiment), stream, training))
        if choice.plan != work.contender:
            raise CannotRunError(choice.why)
        self._blocks: Iterator[tuple[Block, int]] = blocks(
            stream, ENDLESS, self._steps.optimizer.lrs, training.schedule
        )
        self._block, self._at = next(self._blocks)[0], 0

    def run(self, steps: int) -> int:
        left = steps
        with computing(self._steps.threads):
            while left:
                if self._at == len(self._block.progress):
                    self._block, self._at = next(self._blocks)[0], 0
                until = min(len(self._block.progress), self._at + left)
                measured = self._steps.advance(self._block, self._at, until)
                left -= until - self._at
                self._at = until
        measured.losses.sum().item()  # waits for the device
        return steps
