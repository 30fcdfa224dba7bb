"""TensorBoard: meta-losses and validations by meta-step, test metrics by adaptation step, a line for each seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import mamlzoo

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_writers: dict[Path, SummaryWriter] = {}


@mamlzoo.hookimpl
def mamlzoo_run_started(directory: Path, step: int) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise mamlzoo.UsageError(
            "logger 'tensorboard' needs TensorBoard, which is not installed: pip install 'mamlzoo[tensorboard]'"
        ) from error
    # A run that goes on makes the meta-steps after its checkpoint again.
    _writers[directory] = SummaryWriter(str(directory / "tensorboard"), purge_step=step + 1 if step else None)


@mamlzoo.hookimpl
def mamlzoo_run_progressed(experiment: mamlzoo.Experiment, directory: Path, event: object) -> None:
    writer, seeds = _writers[directory], experiment.settings.seeds
    if isinstance(event, mamlzoo.TrainingRecord):
        for name, values in {"meta-loss": event.losses, **event.logs}.items():
            for seed, value in zip(seeds, values, strict=True):
                writer.add_scalar(f"{name}/seed {seed}", value, event.step)
    elif isinstance(event, mamlzoo.ValidationRecord):
        for seed, value in zip(seeds, event.values, strict=True):
            writer.add_scalar(f"valid {event.metric}/seed {seed}", value, event.step)


@mamlzoo.hookimpl
def mamlzoo_run_ended(directory: Path, result: mamlzoo.Result | None) -> None:
    writer = _writers.pop(directory)
    if result is not None:
        evaluation = result.evaluation
        for seed, means in zip(result.seeds, evaluation.per_seed, strict=True):
            for step, mean in zip(evaluation.steps, means, strict=True):
                writer.add_scalar(f"test {evaluation.metric} by adaptation step/seed {seed}", mean, step)
    writer.close()
