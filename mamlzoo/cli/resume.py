"""`mamlzoo resume`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlzoo.cli.argument_words import SHORT_FLAGS
from mamlzoo.cli.executor_flags import ExecutorChoice, executor_flags
from mamlzoo.cli.run_flags import checkpoint_flag, log_flag, workers_flag
from mamlzoo.cli.stopping import recorded

if TYPE_CHECKING:
    from mamlzoo.contracts.plugins import Plugin
    from mamlzoo.experiments.experiment import Experiment


def _place_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    for kind, short in reversed(SHORT_FLAGS.items()):
        moved = f"Where the {kind} is now, as FILE.py:NAME, if its file has moved."
        function = click.option(short, f"--{kind}", kind, metavar="NAME", help=moved)(function)
    return function


@click.command("resume")
@click.argument("directory", type=click.Path(path_type=Path))
@_place_flags
@checkpoint_flag
@log_flag
@workers_flag
@executor_flags
@click.option("--quiet", "-q", is_flag=True, help="No progress and no logs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    directory: Path,
    checkpoint_every: str,
    loggers: tuple[str, ...],
    workers: int,
    executor: str,
    jobs: int | None,
    address: str | None,
    quiet: bool,
    as_json: bool,
    **moved: str | None,
) -> None:
    """Go on with the run, the comparison or the sweep in DIRECTORY, where its last checkpoint stands.

    It ends with the same bits as if it had never been stopped. One that is finished is shown again. Of a sweep, cells
    that failed are tried again; exit code 1 if one failed.
    """
    from mamlzoo import api
    from mamlzoo.cli.results import show
    from mamlzoo.runs import processes, standing
    from mamlzoo.runs.commands import resume_command
    from mamlzoo.sweeps.sweep import Sweep

    places = {kind: place for kind, place in moved.items() if place is not None}
    spread = ExecutorChoice(executor, jobs, address)
    by = spread.executor()
    api.check_resumable(directory, places, processes.number_of(workers), by)

    def make() -> Experiment:
        return standing.experiment_in(directory, _plugins(directory, places))

    def again() -> str:
        return f"{resume_command(directory)}{spread}"

    with processes.together(workers, make) as group:
        if group.count > 1:
            experiment = processes.agreed(make, group)
        if group.rank > 0:
            processes.follow(experiment, group)
            return
        given = _plugins(directory, places)
        with recorded(again, checkpoint_every, loggers, quiet, group.count) as policy:
            found = api.resume_by(policy, directory, given, group, by)
    show(found, directory, quiet=quiet, as_json=as_json)
    ctx.exit(1 if isinstance(found, Sweep) and found.failed else 0)


def _plugins(directory: Path, places: Mapping[str, str]) -> dict[str, Plugin]:
    """The plugins at these places, by kind, with the options that the run began with."""
    from mamlzoo.discovery.entry_points import installed
    from mamlzoo.runs.directory import read_config

    saved = read_config(directory) if places else {}
    return {kind: installed().make(kind, place, saved[kind]["options"]) for kind, place in places.items()}
