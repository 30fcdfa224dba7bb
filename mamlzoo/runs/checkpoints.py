"""Checkpoints: where a run stands, as a value and as a file of tensors, numbers and words.

`checkpoint.pt` loads with `torch.load(…, weights_only=True)`. It carries a digest of all that it holds, so that a
damaged one is known as such, and the one before it is kept as `checkpoint.previous.pt`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo import files
from mamlzoo.contracts.plugins import KINDS, MetaParams
from mamlzoo.engine.preparation import Choice
from mamlzoo.engine.steps import Measured
from mamlzoo.engine.training import TrainingRecord, TrainingState
from mamlzoo.errors import MamlzooError
from mamlzoo.runs import layouts
from mamlzoo.tables import count, number

NAME = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"


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
        """The θ to be tested and used: the best on validation where that chooses, else the last."""
        return self.training.meta if self.best is None else self.best.meta


def save(checkpoint: Checkpoint, directory: Path, experiment: str) -> None:
    """Write a checkpoint; the one that was there becomes the previous one.

    Args:
        experiment: the digest of the config that it belongs to.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    content = _content(checkpoint, experiment)
    current = directory / NAME
    new = directory / f".{NAME}.new"
    data = io.BytesIO()  # torch hides what a disk answers
    torch.save(content | {"digest": digest(content)}, data)
    with files.whole(new) as file:
        file.write(data.getbuffer())
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
        layouts.check_checkpoint(content)
        return _checkpoint(content)
    except Exception as error:  # whatever is not there, or of another type
        raise MamlzooError(f"{path} has another layout than this mamlzoo's: {layouts.told(error)}") from error


def digest(content: Any) -> str:
    """SHA-256 over nested dicts, lists and tuples of tensors, numbers, words and None."""
    state = hashlib.sha256()
    for part in _parts(content):
        state.update(part)
    return state.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, Tensor):
        yield f"{value.dtype}{list(value.shape)}".encode()
        yield value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    elif isinstance(value, Mapping):
        yield f"dict {len(value)}".encode()
        for key, item in value.items():
            yield f"{key!r}:".encode()
            yield from _parts(item)
    elif isinstance(value, list | tuple):
        yield f"list {len(value)}".encode()
        for item in value:
            yield from _parts(item)
    else:
        yield repr(value).encode()


def _content(checkpoint: Checkpoint, experiment: str) -> dict[str, Any]:
    training, best = checkpoint.training, checkpoint.best
    history, validation = checkpoint.history, checkpoint.validation
    content = {
        "experiment": experiment,
        "meta": training.meta,
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


def _checkpoint(content: dict[str, Any]) -> Checkpoint:
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


def _step_of(record: TrainingRecord | ValidationRecord) -> int:
    return record.step


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


def experiment_digest(config: Mapping[str, Any]) -> str:
    """The digest of the part of a config that defines the numbers: plugins, options and settings.

    What plugins read is no part of it: other data under the same options are refused (`Experiment.check_data`).
    """
    defining: dict[str, Any] = {"settings": config["settings"]}
    for kind in KINDS:
        defining[kind] = {key: value for key, value in config[kind].items() if key != "data"}
    return digest(json.loads(json.dumps(defining, sort_keys=True)))
