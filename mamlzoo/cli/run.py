"""`mamlzoo run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlzoo.cli import config_command
from mamlzoo.cli.config_command import ConfigCommand
from mamlzoo.cli.run_flags import Request, run_flags, workers_flag
from mamlzoo.cli.stopping import recorded

if TYPE_CHECKING:
    from mamlzoo.experiments.experiment import Experiment


@click.command("run", cls=ConfigCommand)
@click.argument("run_config", required=False, type=click.Path(path_type=Path), metavar="[RUN/config.json]")
@run_flags
@workers_flag
def command(workers: int, **flags: Any) -> None:
    """Train and test one task × model × algorithm.

    Prints the test metric after each number of adaptation steps, and saves a run directory. The options of the plugins
    chosen by -t, -m and -a are listed below; `mamlzoo info NAME` explains them.

    RUN/config.json makes the run of that directory again, in a new one; flags say what is to be different.
    """
    from mamlzoo.cli.results import show
    from mamlzoo.engine import torchrun
    from mamlzoo.runs import processes, recording
    from mamlzoo.runs.commands import resume_command

    request = Request(**flags)

    def make(*, tried: bool = False) -> Experiment:
        (experiment,) = request.experiments(tried=tried)
        return experiment

    if request.save_config is not None:
        make(tried=True)
        config_command.save(request.save_config, quiet=request.quiet)
        return
    with processes.together(workers, make) as group:
        experiment = processes.agreed(lambda: make(tried=group.rank == 0), group)
        if group.rank > 0:
            processes.follow(experiment, group)
            return
        directory = request.directory(experiment.name)
        with recorded(
            lambda: resume_command(directory), request.checkpoint_every, request.loggers, request.quiet, group.count
        ) as policy:
            begin = recording.record_or_resume if torchrun.attempt() else recording.record
            result = begin(experiment, directory, policy, group)
    show(result, directory, quiet=request.quiet, as_json=request.as_json)
