"""What an experiment found: the numbers as arrays, and ways to see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

import mamlzoo
from mamlzoo import notebooks, trees
from mamlzoo.contracts.data import MetaParams
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.engine.plan_choice import Choice
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.metrics import Evaluation, alike, effects
from mamlzoo.experiments.transduction import TRANSDUCTIVE
from mamlzoo.files import json_document
from mamlzoo.tables import Table, count, named

Numbers = ArrayLike | Tensor
"""Numbers as a list, an array or a tensor."""
FEW_NUMBERS = 8
"""θ of a seed is shown in full if it has no more numbers than this."""


@dataclass(frozen=True)
class Timing:
    """What an experiment took.

    Attributes:
        prepare_seconds: choosing a plan, and compiling where that was the plan.
        train_seconds, evaluate_seconds: the rest, wall clock.
        tasks_per_second: episodes of all seeds trained on, a second of training.
        peak_memory_mb: MiB in use at most, of the device; on a CPU of the whole process since it began or its run
            before ended, torch and what was read for the run included.
    """

    prepare_seconds: float
    train_seconds: float
    evaluate_seconds: float
    tasks_per_second: float
    peak_memory_mb: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.prepare_seconds + self.train_seconds + self.evaluate_seconds


@dataclass(frozen=True, repr=False)
class Result:
    """One experiment: task × model × algorithm, all its seeds.

    Attributes:
        config: names, options, settings and versions, as JSON holds them.
        evaluation: the metrics on the test episodes.
        checkpoint: where training ended: θ, the optimiser, the records.
        timing: what it took.
        run_dir: where it was saved.
        experiment: what was run; None for a result that was loaded.
    """

    config: dict[str, Any]
    evaluation: Evaluation
    checkpoint: Checkpoint
    timing: Timing
    run_dir: Path | None = field(default=None, compare=False)
    experiment: Experiment | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def _ipython_display_(self) -> None:
        notebooks.show(self.table(), self.plot())

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order of every seed axis."""
        return list(self.config["settings"]["seeds"])

    @property
    def name(self) -> str:
        """As in `sine × mlp × maml`."""
        return " × ".join(self.config[kind]["name"] for kind in KINDS)

    @property
    def meta(self) -> MetaParams:
        """The θ that was tested: after training, or the best on validation; with a leading seed axis."""
        return self.checkpoint.meta

    @property
    def history(self) -> Sequence[TrainingRecord]:
        """The training records."""
        return self.checkpoint.history

    @property
    def validation(self) -> Sequence[ValidationRecord]:
        """The validation records."""
        return self.checkpoint.validation

    @property
    def diverged(self) -> dict[int, int]:
        """Seed -> the meta-step at which its meta-loss or θ was no longer finite."""
        return {self.seeds[row]: step for row, step in sorted(self.checkpoint.training.diverged.items())}

    @property
    def plan(self) -> Choice:
        """How meta-steps were executed, and why."""
        return self.checkpoint.plan

    @property
    def remarks(self) -> Sequence[str]:
        """What else a reader of the numbers must know."""
        return self.checkpoint.remarks

    @property
    def is_transductive(self) -> bool:
        """Whether predictions on a query set depend on each other: batch norm takes the statistics of that set."""
        return TRANSDUCTIVE in self.remarks

    def theta(self) -> dict[str, list[Any]] | None:
        """Every tensor of θ as nested lists, [seeds, …], by path; None if θ has more than a few numbers."""
        named = trees.named_leaves(self.meta)
        if sum(leaf[0].numel() for _, leaf in named) > FEW_NUMBERS:
            return None
        return {name: leaf.tolist() for name, leaf in named}

    def document(self) -> dict[str, Any]:
        """The whole result but for the single test losses, as JSON holds it; what is not finite is null."""
        evaluation, best = self.evaluation, self.checkpoint.best
        rest = {name: _means(values) for name, values in evaluation.values.items() if name != evaluation.metric}
        document = {
            "config": self.config,
            "evaluation": {
                "metric": evaluation.metric,
                "higher_is_better": evaluation.higher_is_better,
                "steps": evaluation.steps.tolist(),
                "mean": evaluation.mean.tolist(),
                "ci95": evaluation.ci95.tolist(),
                "ci95_over": evaluation.over,
                "per_seed": evaluation.per_seed.tolist(),
                "test_tasks": evaluation.main.shape[1],
                "other_metrics_per_seed": rest,
            },
            "validation": [{"step": record.step, record.metric: record.values.tolist()} for record in self.validation],
            "best_steps": best and {str(seed): int(step) for seed, step in zip(self.seeds, best.steps, strict=True)},
            "diverged": {str(seed): step for seed, step in self.diverged.items()},
            "theta": self.theta(),
            "remarks": list(self.remarks),
            "plan": self.plan._asdict(),
            "timing": vars(self.timing),
            "run_dir": None if self.run_dir is None else str(self.run_dir),
        }
        return json_document(document)

    def table(self) -> Table:
        """The metric after each number of adaptation steps."""
        return self.evaluation.table(self.name, self.caveats())

    def basis(self) -> str:
        """Over what the means and intervals are taken."""
        return self.evaluation.basis()

    def caveats(self) -> list[str]:
        """What else a reader of the numbers must know: θ where it is small, what diverged."""
        notes = [*alike(self.evaluation), *self.remarks]
        best = self.checkpoint.best
        if best is not None:
            steps = ", ".join(str(step) for step in best.steps)
            validations = count(len(self.validation), "validation")
            tasks = count(self.config["settings"]["valid_tasks"], "task")
            notes.append(f"θ is the best of {validations} on {tasks}: of meta-step {steps}")
        for name, values in (self.theta() or {}).items():
            notes.append(f"θ after training: {name} = " + "; ".join(_short(value) for value in values))
        if self.diverged:
            where = f"{named('seed', self.diverged)} diverged at {named('meta-step', self.diverged.values())}"
            notes.append(f"{where}: the meta-loss or θ was not finite; left out of the mean")
        return notes + effects(self.evaluation)

    def plot(self, kind: Literal["curves", "training", "adaptation", "embedding"] = "curves") -> mamlzoo.Figure:
        """A figure: test metric by adaptation steps, meta-loss by meta-steps, or fits of one sample task."""
        return mamlzoo.plot(self, kind)

    def adapt(self, x: Numbers, y: Numbers, *, steps: int = 10, seed: int | None = None) -> mamlzoo.Adapted:
        """Adapt θ to data of your own, as `Adapted.of` does."""
        return mamlzoo.Adapted.of(self, x, y, steps=steps, seed=seed)

    def save(self, directory: str | Path) -> Result:
        """Write a run directory, as `mamlzoo.save` does."""
        return mamlzoo.save(self, directory)


def _means(values: NDArray[np.float32]) -> list[list[float]]:
    means: list[list[float]] = values.astype(np.float64).mean(1).tolist()
    return means


def _short(value: Any) -> str:
    if not isinstance(value, list):
        return f"{value:.6g}"
    return _short(value[0]) if len(value) == 1 else "[" + ", ".join(map(_short, value)) + "]"
