"""Run directories: what is in them, written so that a reader never sees half of a file.

- config.json: names, options, settings, versions, machine; the layout's version. There from the first moment.
- metrics.jsonl: a record a line, as they come: the mean meta-loss of each seed since the line before, or a validation.
- checkpoint.pt, checkpoint.previous.pt: where the run stands; they load with `weights_only=True`.
- test_losses.npz: by metric, [seeds, test episodes, steps + 1].
- curves.png, training.png, adaptation.png, embedding.png: figures, where there is something to draw.
- result.json: the document that `--json` prints.
- SHA256SUMS: of the files that a result is loaded from. It comes last: a run that has it is finished.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamlzoo import files, trees
from mamlzoo.discovery import serialisation
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.errors import MamlzooError, UsageError, in_short
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.experiments.metrics import Evaluation
from mamlzoo.experiments.result import Result, Timing
from mamlzoo.files import json_document
from mamlzoo.runs import checkpoint_file, file_layouts
from mamlzoo.runs.commands import resume_command
from mamlzoo.runs.digests import experiment_digest

FORMAT = 1
"""The version of the layout."""
SUMMED = ("config.json", checkpoint_file.NAME, "test_losses.npz", "result.json")
"""The files that a result is loaded from."""


def default_directory(name: str, parent: Path = Path("runs")) -> Path:
    """A directory below `parent` that does not exist yet, named after the time and the experiment."""
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{name.replace(' × ', '-')}"
    return parent / free_name(stem, parent)


@contextlib.contextmanager
def new_directory(directory: Path, *, kept: bool = True) -> Iterator[Path]:
    """A temporary directory beside `directory` that takes its name if the block ends well, and is removed if not.

    What a killed process had begun for the same name is removed.

    Args:
        kept: whether what was written is kept under another name where somebody else took the name meanwhile.

    Raises:
        UsageError: `directory` exists and is not empty, or cannot be made.
        MamlzooError: it was taken meanwhile, or the disk refused.
    """
    made: list[Path] = []
    try:
        directory = directory.resolve()
        taken = directory.exists() and (not directory.is_dir() or any(directory.iterdir()))
        if taken or directory == Path.cwd():
            raise UsageError(f"{directory} exists and is no empty directory; nothing is overwritten, choose another")
        made = [parent for parent in (directory.parent, *directory.parent.parents) if not parent.exists()]
        directory.parent.mkdir(parents=True, exist_ok=True)
        files.remove_leftovers(directory.parent, folders_alone=True)
        temporary = files.temporary_name(directory)
        temporary.mkdir()  # honours the umask
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror or error}") from error
    try:
        with contextlib.ExitStack() as held:
            with contextlib.suppress(MamlzooError):  # where there are no locks, nothing tells what a killed one left
                held.enter_context(files.locked(temporary))
            yield temporary
            (temporary / files.LOCK).unlink(missing_ok=True)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):  # not empty: somebody else's by now
                parent.rmdir()
        if isinstance(error, OSError) and error.filename and Path(error.filename).is_relative_to(temporary):
            place = directory / Path(error.filename).relative_to(temporary)
            raise MamlzooError(f"{place} could not be written: {error.strerror or error}") from error
        raise
    try:
        temporary.replace(directory)
    except OSError as error:
        why = f"{directory} was taken meanwhile ({error.strerror or error})"
        if not kept:
            shutil.rmtree(temporary, ignore_errors=True)
            raise MamlzooError(f"{why}; choose another") from error
        other = directory.with_name(
            free_name(f"{directory.name}-2", [path.name for path in directory.parent.iterdir()])
        )
        with contextlib.suppress(OSError):
            temporary = temporary.replace(other)
        raise MamlzooError(f"{why}; the results are in {temporary}") from error


Draw = Callable[[object], Mapping[str, Callable[[], bytes]]]
"""What draws the figures of a value, by name, as PNG."""


def undrawn(what: object) -> Mapping[str, Callable[[], bytes]]:
    """No figure of it."""
    return {}


def save(result: Result, directory: Path, draw: Draw = undrawn) -> Result:
    """Write the run directory of a result that was computed without one.

    Raises:
        UsageError: it exists and is not empty, or cannot be written.
    """
    with new_directory(directory) as temporary:
        return fill(result, temporary, directory, draw)


def fill(result: Result, into: Path, final: Path, draw: Draw = undrawn) -> Result:
    """Write all of a run directory, into one that will be called `final`."""
    if result.experiment is not None:  # run here, so its code may be run again for this directory
        try:
            serialisation.remember(plugin for plugin in result.experiment.plugins)
        except UsageError as error:
            warnings.warn(str(error), stacklevel=2)
    write_config(into, result.config)
    write_checkpoint(into, result.checkpoint, result.config)
    return finish(result, into, final, draw)


def write_config(directory: Path, config: dict[str, Any]) -> None:
    """The first file of a run directory."""
    files.write_json(directory / "config.json", {"format": FORMAT} | config)


def write_checkpoint(directory: Path, checkpoint: Checkpoint, config: dict[str, Any]) -> None:
    """Where the run stands; the checkpoint that was there becomes the previous one."""
    checkpoint_file.save(checkpoint, directory, experiment_digest(config))


def finish(result: Result, into: Path, final: Path, draw: Draw) -> Result:
    """Write what a finished run has, into a directory that is, or will be, called `final`; SHA256SUMS last."""
    result = replace(result, run_dir=final)
    files.write_text(into / "metrics.jsonl", "".join(map(metrics_line, result.checkpoint.records)))
    arrays: dict[str, Any] = dict(result.evaluation.values)
    with files.whole(into / "test_losses.npz") as file:
        np.savez_compressed(file, **arrays)
    write_figures(result, into, draw)
    files.write_json(into / "result.json", result.document())
    files.write_sums(into, SUMMED)
    return result


def reopen(directory: Path) -> None:
    """Make a finished run unfinished: what it ended with is not true until it has ended again."""
    for name in (files.SUMS, "result.json"):
        (directory / name).unlink(missing_ok=True)


def metrics_line(record: TrainingRecord | ValidationRecord) -> str:
    """A record as a line of metrics.jsonl."""
    if isinstance(record, TrainingRecord):
        logs = {name: values.tolist() for name, values in record.logs.items()}
        line = {"step": record.step, "meta_loss": record.losses.tolist(), "logs": logs}
    else:
        line = {"step": record.step, "valid": {record.metric: record.values.tolist()}}
    return json.dumps(json_document(line), ensure_ascii=False) + "\n"


def is_run(directory: Path) -> bool:
    """Whether it is a run directory, finished or not."""
    return (directory / "config.json").is_file()


def is_finished(directory: Path) -> bool:
    """Whether the run came to its end."""
    return (directory / files.SUMS).is_file()


def read_config(directory: Path) -> dict[str, Any]:
    """The config of a run, finished or not.

    Raises:
        UsageError: it is no run directory.
        MamlzooError: its config cannot be read, or a newer mamlzoo wrote it.
    """
    if not is_run(directory):
        raise UsageError(f"{directory} is no run directory: it has no config.json")
    return read_config_file(directory / "config.json")


def read_config_file(path: Path) -> dict[str, Any]:
    """The config that a run's config.json holds.

    Raises:
        MamlzooError: it cannot be read, or a newer mamlzoo wrote it.
    """
    config = read_document(path)
    try:
        file_layouts.check_config(config)
    except ValueError as error:
        raise MamlzooError(f"{path} cannot be read: {error}") from error
    return config


def read_document(path: Path) -> dict[str, Any]:
    """A JSON document of a known layout, without its version.

    Raises:
        MamlzooError: it cannot be read, or a newer mamlzoo wrote it.
    """
    try:
        document = files.read_json(path)
        version = document.pop("format", None)
    except OSError as error:
        raise MamlzooError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MamlzooError(f"{path} cannot be read: {in_short(error)}") from error
    if type(version) is not int or version < 1:
        raise MamlzooError(f"{path} cannot be read: its format is {version!r}, which is no version of a layout")
    if version > FORMAT:
        raise MamlzooError(
            f"{path.parent} was written by a newer mamlzoo: its layout is {version!r}, this one knows up to {FORMAT}; "
            "pip install --upgrade mamlzoo"
        )
    return dict(document)


def read_checkpoint(directory: Path, name: str, config: dict[str, Any]) -> Checkpoint:
    """A checkpoint of a run with this config.

    Raises:
        MamlzooError: it is damaged, or of another experiment.
    """
    found = checkpoint_file.load(directory / name, experiment_digest(config))
    if len(trees.leaves(found.meta)[0]) != len(config["settings"]["seeds"]):
        raise MamlzooError(f"{directory / name} has other seeds than the config.json beside it")
    return found


def load(directory: str | Path) -> Result:
    """The result that a run directory holds.

    Raises:
        UsageError: it is no run directory, or the run is not finished.
        MamlzooError: a file of it cannot be read, or a newer mamlzoo wrote it.
    """
    directory = Path(directory)
    if (directory / "comparison.json").is_file():
        runs = ", ".join(str(path.parent) for path in sorted(directory.glob("*/config.json")))
        raise UsageError(f"{directory} is a comparison's directory; choose one of its runs: {runs}")
    config = read_config(directory)
    if not is_finished(directory):
        raise UsageError(f"{directory} is not finished; `{resume_command(directory)}` goes on with it")
    try:
        files.check_sums(directory, SUMMED)
        checkpoint = read_checkpoint(directory, checkpoint_file.NAME, config)
    except MamlzooError as error:
        raise MamlzooError(f"{error}; `{resume_command(directory)}` makes it again") from error
    try:
        document = files.read_json(directory / "result.json")
        timing, better = document["timing"], document["evaluation"]["higher_is_better"]
        with files.open_regular(directory / "test_losses.npz") as file, np.load(file) as arrays:
            values = {name: arrays[name] for name in arrays.files}
        return assembled(config, checkpoint, timing, values, better, directory)
    except Exception as error:  # each format has its own errors for a damaged file
        raise MamlzooError(
            f"{directory} cannot be read: {file_layouts.told(error)}; `{resume_command(directory)}` makes it again"
        ) from error


def assembled(
    config: dict[str, Any],
    checkpoint: Checkpoint,
    timing: Mapping[str, Any],
    values: Mapping[str, NDArray[Any]],
    higher_is_better: Any,
    directory: Path | None = None,
) -> Result:
    """The result of what was read of a config, a checkpoint and the rest, of which the rest is checked here.

    Raises:
        LayoutError: it is not what mamlzoo writes.
    """
    file_layouts.check_timing(timing)
    if not isinstance(higher_is_better, bool):
        raise file_layouts.LayoutError("its evaluation.higher_is_better is neither true nor false")
    seeds = len(config["settings"]["seeds"])
    file_layouts.check_arrays(values, seeds)
    rows = [row for row in range(seeds) if row not in checkpoint.training.diverged]
    return Result(config, Evaluation(values, rows, higher_is_better), checkpoint, Timing(**timing), directory)


def free_name(stem: str, taken: Collection[str] | Path) -> str:
    """`stem`, or with the first number that makes it no name of those taken.

    Args:
        taken: names; or the folder that has them.
    """
    numbered = (f"{stem}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([stem], numbered) if not _is_taken(name, taken))


def _is_taken(name: str, taken: Collection[str] | Path) -> bool:
    return (taken / name).exists() if isinstance(taken, Path) else name in taken


def write_figures(what: object, into: Path, draw: Draw) -> None:
    """Draw what there is to draw of it, each for itself; numbers that took hours are not to be lost for a picture."""
    with _expendable("no figure was drawn"):
        for name, drawn in draw(what).items():
            with _expendable(f"no figure '{name}' was drawn"):
                files.write_bytes(into / f"{name}.png", drawn())


@contextlib.contextmanager
def _expendable(lacking: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        warnings.warn(f"{lacking}: {in_short(error)}", stacklevel=4)
