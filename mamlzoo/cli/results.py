"""What `run`, `compare`, `sweep` and `resume` print in the end."""

from __future__ import annotations

from pathlib import Path

from mamlzoo.cli import console
from mamlzoo.comparisons.comparison import Comparison
from mamlzoo.experiments.result import Result
from mamlzoo.sweeps.sweep import Sweep
from mamlzoo.tables import Table, duration, rate


def show(found: Result | Comparison | Sweep, directory: Path, *, quiet: bool, as_json: bool) -> None:
    """Print it, and where it is. It is saved by now, so that a closed pipe costs nothing."""
    if as_json:
        console.print_json({**found.document(), "run_dir": str(directory)})
    else:
        for at, table in enumerate(_tables(found)):
            if at:
                console.out().print()
            console.print_table(table)
        if isinstance(found, Result):
            console.out().print(_spent(found))
    if not quiet:
        console.say_where(directory)


def _tables(found: Result | Comparison | Sweep) -> list[Table]:
    if not isinstance(found, Comparison):
        return [found.table()]
    differences = found.differences()
    return [found.table(), *([differences.table()] if differences.rows else [])]


def _spent(result: Result) -> str:
    timing = result.timing
    return (
        f"prepared in {duration(timing.prepare_seconds)}, trained in {duration(timing.train_seconds)} "
        f"({rate(timing.tasks_per_second, 'task')}), tested in {duration(timing.evaluate_seconds)}; "
        f"{timing.peak_memory_mb:,.0f} MiB at most"
    )
