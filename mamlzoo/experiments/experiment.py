"""What defines a run: a task, a model, an algorithm and a budget."""

from __future__ import annotations

from dataclasses import dataclass, field

from mamlzoo.contracts.plugins import MetaAlgorithm, Model, Plugin, Task
from mamlzoo.engine.training import TrainingState
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

    def is_trained(self, state: TrainingState) -> bool:
        """Whether no meta-step is to be made any more: all are made, or every seed has diverged."""
        return (
            not self.algorithm.trains
            or state.step >= self.settings.iterations
            or len(state.diverged) == len(self.settings.seeds)
        )
