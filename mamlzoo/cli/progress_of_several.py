"""Several runs that go on at the same time: one bar for all of them, and a line of what is being made."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mamlzoo.cli.progress_lines import Line, as_clock
from mamlzoo.cli.time_left import Countdown, Pace, Run, Work
from mamlzoo.engine.evaluation import EvaluationProgress
from mamlzoo.engine.plan_choice import Alert, Choice, Notice
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.runs.watchers import Part
from mamlzoo.tables import count

if TYPE_CHECKING:
    from mamlzoo.experiments.events import Event
    from mamlzoo.experiments.experiment import Experiment

LONG_ENOUGH = 2.0
"""Seconds of runs that must have been seen before it is said how long the rest takes."""


@dataclass
class _Going:
    """A part, and where its run stands.

    Attributes:
        is_heard: whether it has said where it begins, which may be far on.
    """

    part: Part
    run: Run
    is_on: bool = False
    is_over: bool = False
    is_heard: bool = False

    @property
    def share(self) -> float:
        """How much of it is done, in [0, 1]."""
        return 1.0 if self.is_over else min(1.0, self.run.done / max(self.run.work.all, 1e-9))


class Several:
    """Knows how far several runs are that go on at the same time."""

    def __init__(self, parts: Sequence[Part], clock: Callable[[], float] = time.monotonic) -> None:
        """Take parts of which none has begun.

        Args:
            parts: each with one experiment, which every event of it comes with.
        """
        self._clock, self._going = clock, [_Going(part, _run_of(part)) for part in parts]
        self._pace, self._heard, self._countdown, self._shown = Pace(), clock(), Countdown(), 0.0

    def begins(self, part: Part) -> None:
        """A part begins, maybe once more, or one of several that were to go side by side."""
        known = self._of(part.left[0])
        if known is None or known.part is not part:
            self._going = [one for one in self._going if one is not known]
            known = _Going(part, _run_of(part))
            self._going.append(known)
        known.is_on, known.is_heard, known.run = True, False, _run_of(part)

    def ends(self, part: Part) -> None:
        """A part is over."""
        known = self._of(part.left[0])
        if known is not None:
            self._advance(known, lambda: None, over=True)

    def hears(self, experiment: Experiment, event: Event) -> str | None:
        """Take an event; what a person is to be told of it."""
        known = self._of(experiment)
        if isinstance(event, Alert | Choice | Notice) or known is None:
            return self._said(known, experiment, event)
        self._advance(known, lambda: _follow(known.run, experiment, event))
        return None

    def lines(self) -> list[Line]:
        """What to show now."""
        noun, of = self._going[0].part.noun, self._going[0].part.of
        left = sum(one.part.at_once for one in self._going if not one.is_over)
        work = sum(one.run.work.all for one in self._going)
        done = sum(one.share * one.run.work.all for one in self._going)
        self._shown = max(self._shown, min(1.0, done / max(work, 1e-9)))
        each, now = self._pace.each if self._pace.seconds > LONG_ENOUGH else None, self._clock()
        time_left = "" if each is None else f"{as_clock(self._countdown(each * (work - done), now))} left"
        on = sorted((one for one in self._going if one.is_on), key=lambda one: one.part.number)
        names = [f"{_name(one.part)} {int(100 * one.share)}%" for one in on]
        return [
            Line(f"{count(of, noun)}, {of - left} done", self._shown, time_left),
            Line("now:", None, "", names),
        ]

    def _of(self, experiment: Experiment | None) -> _Going | None:
        return next((one for one in self._going if one.part.left[0] is experiment), None)

    def _said(self, known: _Going | None, experiment: Experiment, event: Event) -> str | None:
        if isinstance(event, Alert):
            return event.text if known is None else f"{known.part.name}: {event.text}"
        if isinstance(event, Choice) and known is not None and known.part.noun != "cell":
            return f"{experiment.name} by {event.plan}: {event.why}"
        return None

    def _advance(self, known: _Going, change: Callable[[], None], *, over: bool = False) -> None:
        """A part goes on; how fast all of them do follows from that, but for where it began."""
        now, before = self._clock(), known.share
        change()
        if over:
            known.is_on, known.is_over = False, True
        done = max(0.0, (known.share - before) * known.run.work.all) if known.is_heard else 0.0
        if done or self._pace.done:  # before that processes begin, which happens to each once
            self._pace.add(done, now - self._heard)
        self._heard, known.is_heard = now, True


def _run_of(part: Part) -> Run:
    (experiment,) = part.left
    assert experiment is not None
    return Run(Work.of(experiment, part.at_once))


def _name(part: Part) -> str:
    return part.name + (f" and {part.at_once - 1} more" if part.at_once > 1 else "")


def _follow(run: Run, experiment: Experiment, event: Event) -> None:
    """An event of a run."""
    if isinstance(event, TrainingRecord):
        run.step = event.step
    elif isinstance(event, Checkpoint):
        run.step, run.is_trained = event.training.step, experiment.is_trained(event)
        run.validations = len(event.validation)
    elif isinstance(event, ValidationRecord):
        run.validations, run.evaluated = run.validations + 1, 0.0
    elif isinstance(event, EvaluationProgress):
        validates = not run.is_trained or run.validations_left > 0
        run.evaluated = event.done / event.total * (run.work.validated if validates else run.work.tested)
