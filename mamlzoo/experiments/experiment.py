"""What defines a run: a task, a model, an algorithm and a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mamlzoo.contracts.plugins import MetaAlgorithm, Model, Plugin, Task
from mamlzoo.experiments import patience
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.experiments.settings import Settings


@dataclass(frozen=True)
class Experiment:
    """Task × model × algorithm, and how they are trained and tested."""

    task: Task
    model: Model
    algorithm: MetaAlgorithm
    settings: Settings = field(default_factory=Settings)

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """As in `sine × mlp × maml`."""
        return f"{self.task.name} × {self.model.name} × {self.algorithm.name}"

    @property
    def plugins(self) -> tuple[Plugin, Plugin, Plugin]:
        """The task, the model and the algorithm."""
        return self.task, self.model, self.algorithm

    def is_trained(self, at: Checkpoint) -> bool:
        """Whether no meta-step is to be made any more: all are made, every seed has diverged or run out of patience."""
        return (
            not self.algorithm.trains
            or at.training.step >= self.settings.iterations
            or len(at.training.diverged) == len(self.settings.seeds)
            or bool(len(at.validation) and self.ran_out(at.validation).all())
        )

    def ran_out(self, validation: Sequence[ValidationRecord]) -> NDArray[np.bool_]:
        """Of which seeds the patience has run out, [seeds]; empty before the first validation."""
        grows = bool(validation) and validation[0].metric in self.task.higher_is_better
        return patience.ran_out(validation, self.settings.patience, 1.0 if grows else -1.0)
