"""What a run tells as it goes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from mamlzoo.engine.evaluation import EvaluationProgress
from mamlzoo.engine.plan_choice import Alert, Choice, Notice
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.experiments.experiment import Experiment

T = TypeVar("T")

Event = Alert | Notice | Choice | TrainingRecord | ValidationRecord | Checkpoint | EvaluationProgress
"""What a run tells as it goes: a remark, the choice of a plan, a record, a checkpoint, a step of the evaluation."""
Events = Generator[Event, None, T]
Listener = Callable[[Experiment, Event], None]
"""What is told of every event of a run."""
