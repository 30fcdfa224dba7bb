"""Run directories: written under a temporary name, then renamed, so a reader never sees half of one.

- config.json: names, options, settings, versions.
- result.json: the document that `--json` prints.
- metrics.jsonl: one training record a line: meta-step, mean meta-loss of each seed.
- test_losses.npz: by metric, [seeds, test episodes, steps + 1].
- checkpoint.pt: θ, tensors only; loads with `weights_only=True`.
- curves.png, training.png, adaptation.png: figures, where there is something to draw.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mamlzoo import plots
from mamlzoo.engine.preparation import Choice
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.interfaces import KINDS
from mamlzoo.result import Comparison, Evaluation, Result, Timing, finite_or_null


def default_directory(name: str, parent: Path = Path("runs")) -> Path:
    """A directory below `parent` that does not exist yet, named after the time and the experiment."""
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{name.replace(' × ', '-')}"
    candidates = (parent / (stem if i == 0 else f"{stem}-{i}") for i in range(10_000))
    return next(candidate for candidate in candidates if not candidate.exists())


@contextlib.contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """A temporary directory beside `directory` that takes its name if the block ends well, and is removed if not.

    Raises:
        UsageError: `directory` exists and is not empty, or cannot be made.
    """
    try:
        directory = directory.resolve()
        taken = directory.exists() and (not directory.is_dir() or any(directory.iterdir()))
        if taken or directory == Path.cwd():
            raise UsageError(f"{directory} exists and is no empty directory; nothing is overwritten, choose another")
        made = [parent for parent in (directory.parent, *directory.parent.parents) if not parent.exists()]
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror or error}") from error
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):  # not empty: somebody else's by now
                parent.rmdir()
        raise
    temporary.chmod(0o755)
    try:
        temporary.replace(directory)
    except OSError as error:
        raise MamlzooError(
            f"{directory} was taken meanwhile ({error.strerror or error}); the results are in {temporary}"
        ) from error


def save(result: Result, directory: Path) -> Result:
    """Write a run directory.

    Raises:
        UsageError: it exists and is not empty, or cannot be written.
    """
    with new_directory(directory) as temporary:
        return write(result, temporary, directory)


def write(result: Result, into: Path, final: Path) -> Result:
    """Write a run's files into a directory that will be called `final`."""
    result = replace(result, run_dir=final)
    _write_json(into / "config.json", result.config)
    _write_json(into / "result.json", result.document())
    with (into / "metrics.jsonl").open("w", encoding="utf-8") as file:
        for record in result.history:
            logs = {name: values.tolist() for name, values in record.logs.items()}
            line = {"step": record.step, "meta_loss": record.losses.tolist(), "logs": logs}
            file.write(json.dumps(finite_or_null(line)) + "\n")
    arrays: dict[str, Any] = dict(result.evaluation.values)
    np.savez_compressed(into / "test_losses.npz", **arrays)
    torch.save({"meta": result.meta}, into / "checkpoint.pt")
    with _expendable_figure():
        for name, figure in plots.of_run(result).items():
            plots.save(figure, into / f"{name}.png")
    return result


def save_comparison(comparison: Comparison, directory: Path) -> Comparison:
    """Write a directory with a run directory for each experiment, `comparison.json` and `curves.png`.

    Raises:
        UsageError: it exists and is not empty, or cannot be written.
    """
    with new_directory(directory) as temporary:
        return write_comparison(comparison, temporary, directory)


def write_comparison(comparison: Comparison, into: Path, final: Path) -> Comparison:
    """Write a comparison's files into a directory that will be called `final`."""
    results = []
    for number, (label, result) in enumerate(zip(comparison.labels(), comparison.results, strict=True), 1):
        name = re.sub(r"[^\w.=]+", "-", label).strip("-")
        name = f"{name}-{number}" if (into / name).exists() else name
        (into / name).mkdir()
        results.append(write(result, into / name, final / name))
    comparison = replace(comparison, results=results)
    _write_json(into / "comparison.json", comparison.document())
    with _expendable_figure():
        plots.save(comparison.plot(), into / "curves.png")
    return comparison


def load(directory: str | Path) -> Result:
    """The result that a run directory holds.

    Raises:
        UsageError: it is no run directory.
        MamlzooError: a file of it cannot be read.
    """
    directory = Path(directory)
    if not (directory / "result.json").is_file():
        raise UsageError(f"{directory} is no run directory: it has no result.json")
    try:
        document = json.loads((directory / "result.json").read_text(encoding="utf-8"))
        with np.load(directory / "test_losses.npz") as arrays:
            values = {name: arrays[name] for name in arrays.files}
        meta = torch.load(directory / "checkpoint.pt", weights_only=True, map_location="cpu")["meta"]
        lines = (directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        history = [_record(json.loads(line)) for line in lines]
        config, timing, plan = document["config"], Timing(**document["timing"]), Choice(**document["plan"])
        diverged = {int(seed): step for seed, step in document["diverged"].items()}
        rows = [row for row, seed in enumerate(config["settings"]["seeds"]) if seed not in diverged]
        for kind in KINDS:
            config[kind]["name"], config[kind]["options"]
        if any(len(array) != len(config["settings"]["seeds"]) for array in values.values()):
            raise ValueError("test_losses.npz has other seeds than config")
        remarks = document["remarks"]
        evaluation = Evaluation(values, rows, document["evaluation"].get("higher_is_better", False))
    except Exception as error:  # each format has its own errors for a damaged file
        raise MamlzooError(f"{directory} cannot be read: {type(error).__name__}: {error}") from error
    return Result(config, evaluation, meta, history, diverged, plan, timing, remarks, directory)


@contextlib.contextmanager
def _expendable_figure() -> Iterator[None]:
    """Numbers that took hours are not to be lost for a picture."""
    try:
        yield
    except Exception as error:
        warnings.warn(f"no figure was drawn: {type(error).__name__}: {error}", stacklevel=3)


def _record(line: dict[str, Any]) -> TrainingRecord:
    logs = {name: np.array(values, dtype=np.float64) for name, values in line["logs"].items()}
    return TrainingRecord(line["step"], np.array(line["meta_loss"], dtype=np.float64), logs, {})


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
