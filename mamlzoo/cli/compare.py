"""`mamlzoo compare`."""

from __future__ import annotations

from typing import Any

import click

from mamlzoo.cli import config_command
from mamlzoo.cli.config_command import ConfigCommand
from mamlzoo.cli.executor_flags import ExecutorChoice, executor_flags
from mamlzoo.cli.flags import numeric
from mamlzoo.cli.run_flags import Request, run_flags
from mamlzoo.cli.stopping import recorded


class CompareCommand(ConfigCommand):
    """Takes several of each kind."""

    several = True
    defaults = {"task": ["sine"], "model": ["mlp"], "algorithm": ["maml", "fomaml", "transfer", "scratch"]}


@click.command("compare", cls=CompareCommand)
@run_flags
@executor_flags
@click.option("--baseline", metavar="NAME", help="Algorithm, model or result that all others are compared with.")
@click.option(
    "--at-step", type=numeric(minimum=0), help="Adaptation steps after which to compare.  [default: the last]"
)
def command(
    baseline: str | None, at_step: int | None, executor: str, jobs: int | None, address: str | None, **flags: Any
) -> None:
    """Train and test several combinations, on the same test tasks, and show them side by side.

    -t, -m and -a may be repeated; every combination is run. A plugin's option goes to each plugin of its kind that has
    it. A second table says which differences are real: between every two, or each and the baseline.
    Saves a directory with a run directory for each combination and one figure for all.
    """
    from mamlzoo.cli.results import show
    from mamlzoo.comparisons import differences
    from mamlzoo.comparisons import directory as comparison_directory
    from mamlzoo.runs.commands import resume_command
    from mamlzoo.runs.config import config_of

    request, spread = Request(**flags), ExecutorChoice(executor, jobs, address)
    by = spread.executor()
    several = request.experiments()
    differences.check_request([config_of(experiment) for experiment in several], baseline, at_step)
    if request.save_config is not None:
        config_command.save(request.save_config, quiet=request.quiet)
        return
    directory = request.directory("compare")
    with recorded(
        lambda: f"{resume_command(directory)}{spread}", request.checkpoint_every, request.loggers, request.quiet
    ) as policy:
        comparison = comparison_directory.record(several, directory, policy, baseline, at_step, by)
    show(comparison, directory, quiet=request.quiet, as_json=request.as_json)
