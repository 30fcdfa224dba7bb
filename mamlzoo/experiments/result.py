"""What an experiment found: the numbers as arrays, and ways to see them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

import mamlzoo
from mamlzoo import statistics, trees
from mamlzoo.contracts.plugins import KINDS, MetaParams
from mamlzoo.engine.preparation import Choice
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.runs.checkpoints import Checkpoint, ValidationRecord
from mamlzoo.tables import Table, count, number

if TYPE_CHECKING:
    from mamlzoo.experiments.experiment import Experiment

Values = ArrayLike | Tensor
"""Numbers as a list, an array or a tensor."""
FEW_NUMBERS = 8
"""θ of a seed is shown in full if it has no more numbers than this."""
FEW_TASKS = 5
"""Fewer test tasks say little of others: their interval leans on a normal distribution, which so few cannot show."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Metrics on the frozen test episodes.

    Attributes:
        values: by metric, [seeds, test episodes, steps + 1].
        rows: the rows of seeds that count: those that did not diverge in training.
        higher_is_better: whether the first metric grows as learning succeeds; if not, it is an error.
    """

    values: Mapping[str, NDArray[np.float32]]
    rows: Sequence[int]
    higher_is_better: bool = False

    @property
    def metric(self) -> str:
        """The metric that tables and figures show."""
        return next(iter(self.values))

    @property
    def steps(self) -> NDArray[np.int64]:
        """Numbers of adaptation steps: 0, 1, …"""
        return np.arange(self.values[self.metric].shape[-1])

    @cached_property
    def per_seed(self) -> NDArray[np.float64]:
        """Mean over test episodes, [seeds, steps + 1]."""
        with np.errstate(invalid="ignore", over="ignore"):  # infinities are data here
            mean: NDArray[np.float64] = self.values[self.metric].astype(np.float64).mean(1)
        return mean

    @property
    def seeds_alike(self) -> bool:
        """Whether several seeds found the very same numbers, so that they say nothing about each other."""
        counted = self.values[self.metric][list(self.rows)]
        return len(self.rows) > 1 and bool(np.array_equal(counted, np.broadcast_to(counted[:1], counted.shape)))

    @property
    def over(self) -> Literal["seeds", "test tasks"]:
        """What the intervals are taken over: seeds, or test tasks where a single seed is left or all are alike."""
        return "seeds" if len(self.rows) > 1 and not self.seeds_alike else "test tasks"

    @cached_property
    def _summary(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if not self.rows:
            empty = np.full(len(self.steps), np.nan)
            return empty, empty
        if self.over == "seeds":
            return statistics.mean_and_ci95(self.per_seed[list(self.rows)])
        return statistics.mean_and_ci95(self.values[self.metric][self.rows[0]])

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over test episodes and seeds, [steps + 1]."""
        return self._summary[0]

    @property
    def ci95(self) -> NDArray[np.float64]:
        """Half-width of the mean's 95% interval, [steps + 1]."""
        return self._summary[1]

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def table(self, of: str = "", caveats: Sequence[str] | None = None) -> Table:
        """The metric after each number of adaptation steps.

        Args:
            of: what was tested, for the title.
            caveats: what else a reader must know; None: what the numbers alone can say.
        """
        columns = ["steps", self.metric, "± 95%"]
        rows = [
            [str(step), number(mean), number(half)]
            for step, mean, half in zip(self.steps, self.mean, self.ci95, strict=True)
        ]
        if len(self.rows) > 1:
            columns += ["lowest seed", "highest seed"]
            per_seed = self.per_seed[list(self.rows)]
            for row, low, high in zip(rows, per_seed.min(0), per_seed.max(0), strict=True):
                row += [number(low), number(high)]
        title = f"test {self.metric} after adaptation"
        notes = [*_alike(self), *self._left_out(), *_runaways(self)] if caveats is None else caveats
        return Table(f"{of}: {title}" if of else title, columns, rows, [self.basis(), *notes])

    def basis(self) -> str:
        """Over what the means and intervals are taken."""
        tests = self.values[self.metric].shape[1]
        few = f"; fewer than {FEW_TASKS} test tasks say little of others" if tests < FEW_TASKS else ""
        over = f"{count(tests, 'test task')} and {count(len(self.rows), 'seed')}"
        return f"mean over {over}; 95% t interval over {self.over}{few}"

    def _left_out(self) -> list[str]:
        seeds = len(self.per_seed)
        out = seeds - len(self.rows)
        return [f"{out} of {count(seeds, 'seed')} left out of the mean: θ is not finite"] if out else []


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
                "test_tasks": evaluation.values[evaluation.metric].shape[1],
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
        finite: dict[str, Any] = finite_or_null(document)
        return finite

    def table(self) -> Table:
        """The metric after each number of adaptation steps."""
        return self.evaluation.table(self.name, self.caveats())

    def basis(self) -> str:
        """Over what the means and intervals are taken."""
        return self.evaluation.basis()

    def caveats(self) -> list[str]:
        """What else a reader of the numbers must know: θ where it is small, what diverged."""
        notes = [*_alike(self.evaluation), *self.remarks]
        best = self.checkpoint.best
        if best is not None:
            steps = ", ".join(str(step) for step in best.steps)
            validations = count(len(self.validation), "validation")
            tasks = count(self.config["settings"]["valid_tasks"], "task")
            notes.append(f"θ is the best of {validations} on {tasks}: of meta-step {steps}")
        for name, values in (self.theta() or {}).items():
            notes.append(f"θ after training: {name} = " + "; ".join(_short(value) for value in values))
        if self.diverged:
            many = "s" * (len(self.diverged) > 1)
            seeds, steps = (", ".join(map(str, several)) for several in (self.diverged, self.diverged.values()))
            where = f"seed{many} {seeds} diverged at meta-step{many} {steps}"
            notes.append(f"{where}: the meta-loss or θ was not finite; left out of the mean")
        return notes + _runaways(self.evaluation)

    def plot(self, kind: Literal["curves", "training", "adaptation"] = "curves") -> mamlzoo.Figure:
        """A figure: test metric by adaptation steps, meta-loss by meta-steps, or fits of one sample task."""
        return mamlzoo.plot(self, kind)

    def adapt(self, x: Values, y: Values, *, steps: int = 10, seed: int | None = None) -> mamlzoo.Adapted:
        """Adapt θ to data of your own, as `Adapted.of` does."""
        return mamlzoo.Adapted.of(self, x, y, steps=steps, seed=seed)

    def save(self, directory: str | Path) -> Result:
        """Write a run directory, as `mamlzoo.save` does."""
        return mamlzoo.save(self, directory)


def _alike(evaluation: Evaluation) -> list[str]:
    """A line where several seeds found the very same numbers."""
    line = "all seeds found the very same numbers: nothing was random, so there is no interval over them"
    return [line] if evaluation.seeds_alike else []


def _runaways(evaluation: Evaluation) -> list[str]:
    """A line where some number is not finite though θ is."""
    line = "'diverged': adaptation ran to infinity on some test task; a smaller inner rate may help"
    return [] if np.isfinite(evaluation.per_seed[list(evaluation.rows)]).all() else [line]


def finite_or_null(value: Any) -> Any:
    """The same document with null for every number that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: finite_or_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_null(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _means(values: NDArray[np.float32]) -> list[list[float]]:
    means: list[list[float]] = values.astype(np.float64).mean(1).tolist()
    return means


def _short(value: Any) -> str:
    if not isinstance(value, list):
        return f"{value:.6g}"
    return _short(value[0]) if len(value) == 1 else "[" + ", ".join(map(_short, value)) + "]"
