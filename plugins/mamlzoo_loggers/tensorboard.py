"""TensorBoard: meta-losses and validations by meta-step, test metrics by adaptation step, a line for each seed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import mamlzoo
from mamlzoo_loggers import scalars

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
    _add(_writers[directory], scalars.of_event(experiment, event))


@mamlzoo.hookimpl
def mamlzoo_run_ended(directory: Path, result: mamlzoo.Result | None) -> None:
    writer = _writers.pop(directory)
    try:
        if result is not None:
            _add(writer, scalars.of_result(result))
            writer.add_text("test", _markdown(result))
            for figure in scalars.figures(directory):
                _add_picture(writer, figure)
    finally:
        writer.close()


def _add(writer: SummaryWriter, found: list[scalars.Scalar]) -> None:
    for scalar in found:
        writer.add_scalar(scalar.series, scalar.value, scalar.step)


def _markdown(result: mamlzoo.Result) -> str:
    columns, rows = scalars.test_table(result)
    lines = [columns, ["---:"] * len(columns), *([f"{number:.6g}" for number in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _add_picture(writer: SummaryWriter, path: Path) -> None:
    """Add a PNG as it is; `add_image` would want its pixels."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    png = path.read_bytes()
    width, height = struct.unpack(">II", png[16:24])  # where every PNG has them
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
    writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=path.stem, image=image)]))
