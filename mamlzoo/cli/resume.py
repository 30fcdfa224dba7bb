"""`mamlzoo resume`."""

from __future__ import annotations

from pathlib import Path

import click

from mamlzoo.cli.runner import checkpoint_flag, log_flag, recorded, report_comparison, report_run
from mamlzoo.errors import UsageError


@click.command("resume")
@click.argument("directory", type=click.Path(path_type=Path))
@checkpoint_flag
@log_flag
@click.option("--quiet", "-q", is_flag=True, help="No progress and no logs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
def command(directory: Path, checkpoint_every: str, loggers: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Go on with the run or the comparison in DIRECTORY, where its last checkpoint stands.

    It ends with the same bits as if it had never been stopped. One that is finished is shown again.
    """
    from mamlzoo import comparing, recording, reproduction, sweeping
    from mamlzoo.store import resume_command

    if sweeping.is_sweep(directory):
        raise UsageError(f"{directory} is a sweep's directory; the `mamlzoo sweep` that began it goes on with it")
    if reproduction.is_reproduction(directory):
        again = reproduction.command(reproduction.begun(directory), directory)
        raise UsageError(f"{directory} is a recipe's directory; `{again}` goes on with it")
    with recorded(resume_command(directory), checkpoint_every, loggers, quiet) as manner:
        if comparing.is_comparison(directory):
            comparison = comparing.resume(directory, manner)
        else:
            result = recording.resume(directory, manner)
    if comparing.is_comparison(directory):
        report_comparison(comparison, directory, quiet=quiet, as_json=as_json)
    else:
        report_run(result, directory, quiet=quiet, as_json=as_json)
