"""Where a run stands, as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamlzoo.contracts.data import MetaParams
from mamlzoo.engine.plan_choice import Choice
from mamlzoo.engine.training import TrainingRecord, TrainingState
from mamlzoo.tables import count, number


class ValidationRecord(NamedTuple):
    """How good θ is on the validation episodes.

    Attributes:
        step: meta-steps done.
        metric: the task's first.
        values: its mean over validation episodes after all adaptation steps, [seeds].
    """

    step: int
    metric: str
    values: NDArray[np.float64]

    def __repr__(self) -> str:
        mean = f"{self.metric} {number(float(self.values.mean()))}"
        over = f", mean of {count(len(self.values), 'seed')}" if len(self.values) > 1 else ""
        return f"meta-step {self.step}: validation {mean}{over}"


@dataclass(frozen=True, repr=False)
class Best:
    """The θ of each seed that was best on the validation episodes so far.

    Attributes:
        meta: θ, with its seed axis.
        values: its validation metric, [seeds].
        steps: the meta-steps it is from, [seeds].
    """

    meta: MetaParams
    values: NDArray[np.float64]
    steps: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"best of meta-step {', '.join(map(str, self.steps))}"


class Seconds(NamedTuple):
    """What was spent so far: on choosing and compiling a plan, on meta-steps, on validating and testing."""

    prepare: float = 0.0
    train: float = 0.0
    evaluate: float = 0.0

    def and_share(self, of: int, more: Mapping[str, float]) -> Seconds:
        """With an equal share of what so many spent together."""
        return Seconds(*(own + more.get(name, 0.0) / of for name, own in zip(self._fields, self, strict=True)))


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """Where a run stands: all that it needs to go on, besides its config.

    Attributes:
        plan: how meta-steps are executed. Plans differ in the last bits, so a run ends by the one that it began with.
        training: θ, the outer optimiser and the number of meta-steps made.
        history, validation: the records so far.
        best: the best θ so far, where validation chooses.
        seconds: spent so far.
        remarks: what happened on the way that a reader of the result must know.
    """

    plan: Choice
    training: TrainingState
    history: Sequence[TrainingRecord] = ()
    validation: Sequence[ValidationRecord] = ()
    best: Best | None = None
    seconds: Seconds = field(default_factory=Seconds)
    remarks: Sequence[str] = ()

    def __repr__(self) -> str:
        return f"checkpoint at meta-step {self.training.step}"

    @property
    def records(self) -> list[TrainingRecord | ValidationRecord]:
        """All records, in the order of meta-steps."""
        return sorted([*self.history, *self.validation], key=_step_of)

    @property
    def meta(self) -> MetaParams:
        """The θ to be tested and used: the best on validation where that chooses, else the last or its average."""
        return self.training.judged if self.best is None else self.best.meta


def _step_of(record: TrainingRecord | ValidationRecord) -> int:
    return record.step
