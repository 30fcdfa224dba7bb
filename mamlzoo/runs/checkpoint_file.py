"""Checkpoints as files of tensors, numbers and words.

`checkpoint.pt` loads with `torch.load(…, weights_only=True)`. It carries a digest of all that it holds, so that a
damaged one is known as such, and the one before it is kept as `checkpoint.previous.pt`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo import files
from mamlzoo.engine.plan_choice import Choice
from mamlzoo.engine.steps import Measured
from mamlzoo.engine.training import TrainingRecord, TrainingState
from mamlzoo.errors import MamlzooError
from mamlzoo.experiments.checkpoint import Best, Checkpoint, Seconds, ValidationRecord
from mamlzoo.runs import file_layouts
from mamlzoo.runs.digests import digest

NAME = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"


def save(checkpoint: Checkpoint, directory: Path, experiment: str) -> None:
    """Write a checkpoint; the one that was there becomes the previous one.

    Args:
        experiment: the digest of the config that it belongs to.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    content = content_of(checkpoint, experiment)
    data = io.BytesIO()  # torch hides what a disk answers
    torch.save(content | {"digest": digest(content)}, data)
    put(directory, data.getvalue())


def put(directory: Path, data: bytes) -> None:
    """Write what a checkpoint's file holds; the one that was there becomes the previous one.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    current = directory / NAME
    new = directory / f".{NAME}.new"
    with files.whole(new) as file:
        file.write(data)
    if current.exists():
        current.replace(directory / PREVIOUS)
    new.replace(current)
    files.flush_directory(directory)


def load(path: Path, experiment: str) -> Checkpoint:
    """The checkpoint that a file holds.

    Raises:
        MamlzooError: it is damaged, or of another experiment.
    """
    try:
        with files.open_regular(path) as file:
            content = torch.load(file, weights_only=True, map_location="cpu")
        found, computed = content.pop("digest"), digest(content)
    except OSError as error:
        raise MamlzooError(f"{path} is damaged: it cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a damaged archive raises whatever it likes
        raise MamlzooError(f"{path} is damaged: it cannot be read ({type(error).__name__})") from error
    if found != computed:
        raise MamlzooError(f"{path} is damaged: its content does not have its digest")
    if content.get("experiment") != experiment:
        raise MamlzooError(f"{path} does not belong to the config.json beside it")
    try:
        file_layouts.check_checkpoint(content)
        return checkpoint_of(content)
    except Exception as error:  # whatever is not there, or of another type
        raise MamlzooError(f"{path} has another layout than this mamlzoo's: {file_layouts.told(error)}") from error


def content_of(checkpoint: Checkpoint, experiment: str) -> dict[str, Any]:
    """A checkpoint as tensors, numbers and words, on the CPU, for the experiment with this digest."""
    training, best = checkpoint.training, checkpoint.best
    history, validation = checkpoint.history, checkpoint.validation
    content = {
        "experiment": experiment,
        "meta": training.meta,
        "average": training.average,
        "optimizer": [{index: dict(slots) for index, slots in state.items()} for state in training.optimizer],
        "step": training.step,
        "recent": training.recent and {"losses": training.recent.losses, "logs": training.recent.logs},
        "diverged": dict(training.diverged),
        "plan": {"plan": checkpoint.plan.plan, "why": checkpoint.plan.why},
        "history": {
            "steps": [record.step for record in history],
            "losses": _stacked([record.losses for record in history]),
            "logs": {name: _stacked([record.logs[name] for record in history]) for name in _names(history)},
        },
        "validation": {
            "steps": [record.step for record in validation],
            "metrics": [record.metric for record in validation],
            "values": _stacked([record.values for record in validation]),
        },
        "best": best and {"meta": best.meta, "values": best.values.tolist(), "steps": best.steps.tolist()},
        "seconds": checkpoint.seconds._asdict(),
        "remarks": list(checkpoint.remarks),
    }
    # Compact copies on the CPU: θ's leaves are views of one matrix, and the device may be gone when they are read.
    compact: dict[str, Any] = _each_tensor(content, lambda tensor: tensor.detach().cpu().clone())
    return compact


def checkpoint_of(content: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint that `content_of` gave this of, once `file_layouts.check_checkpoint` has nothing against it."""
    recent, best = content["recent"], content["best"]
    history, validation = content["history"], content["validation"]
    diverged, steps = dict(content["diverged"]), history["steps"]
    return Checkpoint(
        plan=Choice(**content["plan"]),
        training=TrainingState(
            step=content["step"],
            meta=content["meta"],
            optimizer=content["optimizer"],
            recent=recent and Measured(**recent),
            diverged=diverged,
            average=content.get("average"),  # which the first checkpoints do not have
        ),
        history=[
            TrainingRecord(
                step,
                history["losses"][at].numpy(),
                {name: values[at].numpy() for name, values in history["logs"].items()},
                {row: when for row, when in diverged.items() if when < step},
            )
            for at, step in enumerate(steps)
        ],
        validation=[
            ValidationRecord(step, validation["metrics"][at], validation["values"][at].numpy())
            for at, step in enumerate(validation["steps"])
        ],
        best=best and Best(best["meta"], np.array(best["values"]), np.array(best["steps"])),
        seconds=Seconds(**content["seconds"]),
        remarks=content["remarks"],
    )


def _each_tensor(value: Any, function: Any) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {key: _each_tensor(item, function) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each_tensor(item, function) for item in value]
    return value


def _stacked(rows: Sequence[NDArray[np.float64]]) -> Tensor:
    return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, 0, dtype=torch.float64)


def _names(history: Sequence[TrainingRecord]) -> list[str]:
    return list(history[0].logs) if history else []
