"""How much of one run, or of several, is left, in seconds: training, validating and testing in one measure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mamlzoo.experiments.experiment import Experiment

MEMORY = 20.0
"""Seconds after which what a pace was counts a third."""
GLIDE = 4.0
"""Seconds in which a time that is shown moves two thirds of the way to a new estimate."""
GUESS = 0.5
"""An adaptation step on a test episode, in episodes of a meta-step, until one is measured."""


class Work(NamedTuple):
    """What a run is made of.

    Attributes:
        steps: meta-steps.
        episodes: of a meta-step, all seeds together.
        validations: how often θ is validated.
        validated, tested: adaptation steps of a validation and of the test, all episodes and seeds together.
        values: options and settings, which tell how much two runs are alike.
    """

    steps: int
    episodes: int
    validations: int
    validated: int
    tested: int
    values: frozenset[tuple[str, str]] = frozenset()

    @property
    def all(self) -> float:
        """All of it, in episodes of a meta-step."""
        return self.steps * self.episodes + GUESS * (self.validations * self.validated + self.tested)

    @classmethod
    def of(cls, experiment: Experiment, at_once: int = 1) -> Work:
        """What an experiment is made of, or so many alike side by side."""
        from mamlzoo.contracts import options

        settings, spec, seeds = experiment.settings, experiment.task.spec, at_once * len(experiment.settings.seeds)
        plugins = (experiment.task, experiment.model, experiment.algorithm)
        named = {f"{plugin.kind}.{key}": value for plugin in plugins for key, value in options.values(plugin).items()}
        named |= {plugin.kind: plugin.name for plugin in plugins} | options.values(settings)
        steps = settings.iterations if experiment.algorithm.trains else 0
        interval, each = settings.validation_interval, (settings.test_steps + 1) * seeds
        return cls(
            steps,
            settings.meta_batch * seeds,
            max(1, math.ceil(steps / interval)) if interval else 0,
            min(settings.valid_tasks, spec.valid_episodes or settings.valid_tasks) * each,
            min(settings.test_tasks, spec.test_episodes or settings.test_tasks) * each,
            frozenset((key, str(value)) for key, value in named.items()),
        )


@dataclass
class Pace:
    """Seconds for one of something, as a mean in which the past fades."""

    seconds: float = 0.0
    done: float = 0.0

    def add(self, done: float, seconds: float) -> None:
        """So much more is done, and took so long."""
        kept = math.exp(-seconds / MEMORY)
        self.seconds, self.done = kept * self.seconds + seconds, kept * self.done + done

    @property
    def each(self) -> float | None:
        """None: nothing was measured."""
        return self.seconds / self.done if self.done else None


@dataclass
class Run:
    """Where a run stands, and how fast it went.

    Attributes:
        step: meta-steps done.
        validations: done.
        evaluated: adaptation steps done of the validation or the test that goes on.
        preparing: seconds that it took until the first meta-step.
        is_prepared: whether meta-steps have begun, or none come.
        is_trained: whether no more meta-steps come, as where all seeds have diverged.
        validated_at: the meta-step of the last validation.
    """

    work: Work
    step: int = 0
    validations: int = 0
    evaluated: float = 0.0
    preparing: float = 0.0
    is_prepared: bool = False
    is_trained: bool = False
    validated_at: int = -1
    training: Pace = field(default_factory=Pace)
    evaluating: Pace = field(default_factory=Pace)

    @property
    def done(self) -> float:
        """How much of the work is, in the measure of `Work.all`."""
        work, steps = self.work, self.work.steps if self.is_trained else self.step
        return steps * work.episodes + GUESS * (self.validations * work.validated + self.evaluated)

    def seconds(self, like: Run | None = None) -> tuple[float, float] | None:
        """How long it will still take, and takes in all; None: nobody knows.

        Args:
            like: a run that was measured, whose paces hold where this one has none yet.
        """
        work, step = self.work, self._each_step(like)
        if step is None:
            return None
        evaluation = self._each_evaluation(step, like)
        steps = 0 if self.is_trained else max(0, work.steps - self.step)
        units = self.validations_left * work.validated + work.tested - self.evaluated
        done = step * self.step + evaluation * (self.validations * work.validated + self.evaluated) + self.preparing
        left = step * steps + evaluation * max(0.0, units)
        if like is not None and not self.is_prepared:
            left += like.preparing
        return left, done + left

    @property
    def validations_left(self) -> int:
        """How many are still to come; the last one stands after the last meta-step."""
        if not self.work.validations:
            return 0
        if self.is_trained:
            return int(self.validated_at != self.step)
        return max(1, self.work.validations - self.validations)

    def _each_step(self, like: Run | None) -> float | None:
        if self.work.steps == 0:
            return 0.0 if self._evaluation(like) is not None else None
        if self.training.each is not None:
            return self.training.each
        other = None if like is None else like.training.each
        if other is None or like is None:
            return None
        # Half of a meta-step's time grows with its episodes, as it were: a loop's does, a batched call's hardly.
        return other * (1 + self.work.episodes / like.work.episodes) / 2

    def _each_evaluation(self, step: float, like: Run | None) -> float:
        known = self._evaluation(like)
        return GUESS * step / self.work.episodes if known is None else known

    def _evaluation(self, like: Run | None) -> float | None:
        return self.evaluating.each or (None if like is None else like.evaluating.each)


def most_alike(work: Work, runs: list[Run]) -> Run | None:
    """Of runs that were measured the one with most values in common; the last of several."""
    best: Run | None = None
    for run in runs:
        if best is None or len(run.work.values & work.values) >= len(best.work.values & work.values):
            best = run
    return best


class Countdown:
    """A time left that does not jump: it runs with the clock, and glides to a new estimate."""

    def __init__(self) -> None:
        self._shown: tuple[float, float] | None = None

    def __call__(self, estimate: float, now: float) -> float:
        """Seconds to show."""
        if self._shown is None:
            shown = estimate
        else:
            before, then = self._shown
            running = max(0.0, before - (now - then))
            shown = running + (estimate - running) * (1 - math.exp(-(now - then) / GLIDE))
        self._shown = shown, now
        return shown
