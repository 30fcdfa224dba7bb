"""`mamlzoo run`."""

from __future__ import annotations

from typing import Any

import click

from mamlzoo.cli.flags import SettingsCommand
from mamlzoo.cli.runner import Request, run_flags


@click.command("run", cls=SettingsCommand)
@run_flags
def command(**flags: Any) -> None:
    """Train and test one task × model × algorithm.

    Prints the test metric after each number of adaptation steps, and saves a run directory. The options of the plugins
    chosen by -t, -m and -a are listed below; `mamlzoo info NAME` explains them.
    """
    from mamlzoo import store

    request = Request(**flags)
    (experiment,) = request.experiments()
    with request.saving(experiment.name) as (temporary, directory):
        with request.progress() as progress:
            result = experiment.run(progress)
        result = store.write(result, temporary, directory)
    timing = result.timing
    request.report(
        result.table(),
        result.document(),
        directory,
        f"prepared in {timing.prepare_seconds:.1f} s, trained in {timing.train_seconds:.1f} s "
        f"({timing.tasks_per_second:,.0f} tasks/s), tested in {timing.evaluate_seconds:.1f} s; "
        f"{timing.peak_memory_mb:,.0f} MiB at most",
    )
