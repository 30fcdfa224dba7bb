"""`mamlzoo adapt`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamlzoo.cli import console
from mamlzoo.cli.flags import numeric
from mamlzoo.cli.run_arguments import run_argument
from mamlzoo.errors import UsageError

if TYPE_CHECKING:
    from mamlzoo.inference.adapted import Adapted

file_type = click.Path(path_type=Path)


@click.command("adapt")
@run_argument
@click.option(
    "--support",
    type=file_type,
    required=True,
    help="File with the points to adapt to, or a folder, as the task reads it.",
)
@click.option(
    "--query",
    type=file_type,
    help="File, or folder, with the inputs to predict at.  [default: a grid over the support's range where an input is "
    "one number, else the support's inputs]",
)
@click.option("--steps", type=numeric(minimum=0), default=10, show_default=True, help="Adaptation steps.")
@click.option("--seed", type=numeric(minimum=0), help="Whose θ.  [default: the first that did not diverge]")
@click.option("-o", "--out", type=file_type, help="Directory to save to.  [default: a new one, adapted-…]")
@click.option("--export", type=file_type, help="File to write: the adapted network's state dict, for torch.load.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
@click.option("--quiet", "-q", is_flag=True, help="Do not say where it was saved.")
def command(
    run: Path,
    support: Path,
    query: Path | None,
    steps: int,
    seed: int | None,
    out: Path | None,
    export: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Adapt the trained θ of RUN to a few points of yours, and predict.

    RUN is a run directory, a file of `mamlzoo pack`, or a name that `mamlzoo zoo` lists.

    Most tasks read CSV files whose first line names the columns: x and y, or x1, x2, … and y1, y2, … where an input or
    a target is several numbers; a class is given by its index, from 0. Others say with `mamlzoo info` what they read. A
    query without targets will do.

    Prints the support loss after each number of adaptation steps, and saves predictions.csv, predictions.json and,
    where the task is from one number to one number, fit.png. Where a distribution is predicted, its standard deviation
    and the ends of its 90% interval stand in further columns.
    """
    from mamlzoo import files
    from mamlzoo.figures import plots
    from mamlzoo.inference import meta_parameters, predictions
    from mamlzoo.runs import directory as run_directory
    from mamlzoo.runs import trained

    result = trained.result_of(run)
    task = meta_parameters.experiment_of(result).task
    given = task.read(support)
    asked = None if query is None else task.read(query, support=given)
    directory = out or _new_directory(run)
    with run_directory.new_directory(directory) as temporary:
        found = predictions.predict(result, given, asked, steps=steps, seed=seed)
        found.write(temporary, directory)
        if found.fit is not None:
            files.write_bytes(temporary / "fit.png", plots.png(plots.adaptation([found.fit])))
        if export is not None:
            _export(found.adapted, export)
    if as_json:
        console.print_json(found.document(directory))
    else:
        console.print_table(found.table())
    if not quiet:
        console.say_where(directory)
        if export is not None:
            console.say_where(export)


def _new_directory(run: Path) -> Path:
    """`adapted-` and the run's name, and a number where that is taken."""
    from mamlzoo.runs import directory as run_directory
    from mamlzoo.runs import trained

    return Path(run_directory.free_name(f"adapted-{trained.title_of(run)}", Path().absolute()))


def _export(adapted: Adapted, path: Path) -> None:
    import torch

    from mamlzoo import files

    data = io.BytesIO()  # torch hides what a disk answers
    torch.save(adapted.state_dict(), data)
    with files.named_in_refusal(path):
        if path.exists():
            raise UsageError(f"{path} exists; nothing is overwritten, choose another")
        with files.whole(path) as file:
            file.write(data.getvalue())
