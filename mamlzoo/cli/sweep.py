"""`mamlzoo sweep`."""

from __future__ import annotations

from typing import Any

import click

from mamlzoo.cli import config_command
from mamlzoo.cli.config_command import ConfigCommand
from mamlzoo.cli.executor_flags import ExecutorChoice, executor_flags
from mamlzoo.cli.run_flags import Request, run_flags
from mamlzoo.cli.stopping import recorded
from mamlzoo.sweeps import axes


class SweepCommand(ConfigCommand):
    """Takes several plugins of each kind, and several values of each option."""

    several = True
    sweeps = True


@click.command("sweep", cls=SweepCommand)
@run_flags
@executor_flags
@click.option(
    "--one-by-one",
    is_flag=True,
    help="Run each cell alone. Cells that differ in numbers alone, as rates, are trained side by side otherwise.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    one_by_one: bool,
    executor: str,
    jobs: int | None,
    address: str | None,
    **flags: Any,
) -> None:
    """Run every combination of several values of any options, and choose between them by validation.

    An option of a plugin, and a setting that is no matter of how to measure or compute, takes a list, as 4,25; a range,
    as 5:20:5 (from, to, step) or log:1e-3:1e-1:3 (geometric, so many); or lists, as '40,40;80,80', where it has several
    values itself. -t, -m and -a may be repeated; an option goes to each plugin of its kind that has it.

    Cells that differ in numbers alone (an algorithm's, as its inner rate, or rates and options of the outer optimiser)
    are trained side by side as seeds are, which takes less time; each finds what it finds alone, but for rounding.

    Shows the validation and the test metric of each cell after the last adaptation step. The best is chosen by
    validation, so that its test metric can be reported. Saves a directory with a run directory for each cell,
    sweep.json, sweep.csv and sweep.png. `mamlzoo resume`, the same command or one with more values goes on with it:
    what is finished is not run again. Exit code 1 if a cell failed.
    """
    from mamlzoo.cli.results import show
    from mamlzoo.runs.commands import resume_command
    from mamlzoo.sweeps import directory as sweep_directory
    from mamlzoo.sweeps.grid import grid_of

    request, spread = Request(**flags), ExecutorChoice(executor, jobs, address)
    by = spread.executor()
    given = request.options | request.settings
    grid = grid_of(
        {key: values for key, values in given.items() if key not in axes.FIXED},
        request.chosen,
        {},
        request.which_seeds(),
        {key: value for key, value in given.items() if key in axes.FIXED},
    )
    if request.save_config is not None:
        config_command.save(request.save_config, quiet=request.quiet)
        return
    directory = request.directory("sweep")

    def again() -> str:
        """Before all cells are tried, nothing is there to go on with."""
        if not sweep_directory.is_sweep(directory):
            return "the same command again"
        return f"{resume_command(directory)}{spread}"

    with recorded(again, request.checkpoint_every, request.loggers, request.quiet) as policy:
        sweep = sweep_directory.record(grid, directory, policy, one_by_one=one_by_one, executor=by)
    show(sweep, directory, quiet=request.quiet, as_json=request.as_json)
    ctx.exit(1 if sweep.failed else 0)
