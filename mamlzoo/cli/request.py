"""What `run`, `compare` and `sweep` share: their flags, how they record and stop, and what they print in the end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mamlzoo.cli import console
from mamlzoo.cli.flags import KINDS, numeric, whole_numbers
from mamlzoo.cli.progress import display
from mamlzoo.engine.preparation import Notice
from mamlzoo.errors import UsageError
from mamlzoo.experiments.settings import MOST_SEEDS
from mamlzoo.tables import duration, rate

if TYPE_CHECKING:
    from mamlzoo.comparisons.comparison import Comparison
    from mamlzoo.experiments.events import Event
    from mamlzoo.experiments.experiment import Experiment
    from mamlzoo.experiments.result import Result
    from mamlzoo.runs.policy import Manner

F = TypeVar("F", bound=Callable[..., Any])

checkpoint_flag = click.option(
    "--checkpoint-every",
    default="30s",
    show_default=True,
    metavar="INT|TIME",
    help="Write a checkpoint every so many meta-steps, as 200, or so much time, as 30s, 5m, 1h.",
)


log_flag = click.option(
    "--log",
    "loggers",
    multiple=True,
    metavar="NAME",
    help="Tell this logger what happens, as tensorboard; may be repeated.",
)


def run_flags(function: F) -> F:
    """The flags of `run` and `compare` that are no settings."""
    for flag in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table."),
        click.option("--quiet", "-q", is_flag=True, help="No progress and no logs."),
        click.option(
            "--out", type=click.Path(path_type=Path), help="Directory to save to.  [default: a new one below runs/]"
        ),
        log_flag,
        checkpoint_flag,
        click.option("--seed-list", metavar="INT,...", help="Which seeds, instead of how many."),
        click.option(
            "--seeds",
            type=numeric(minimum=1, maximum=MOST_SEEDS),
            help="How many seeds, 0, 1, …, trained side by side.  [default: 1]",
        ),
    ):
        function = flag(function)
    return function


@dataclass(frozen=True)
class Request:
    """What the flags of `run` and `compare` ask for."""

    chosen: dict[str, list[str]]
    options: dict[str, Any]
    settings: dict[str, Any]
    seeds: int | None
    seed_list: str | None
    out: Path | None
    checkpoint_every: str
    loggers: tuple[str, ...]
    quiet: bool
    as_json: bool

    def experiments(self) -> list[Experiment]:
        """Every combination chosen, tried once.

        Raises:
            UsageError: something was asked for that cannot be.
        """
        from mamlzoo.runs.resolution import experiments

        return experiments(
            *(self.chosen[kind] for kind in KINDS), options=self.options, seeds=self.which_seeds(), **self.settings
        )

    def directory(self, name: str) -> Path:
        """Where to save."""
        from mamlzoo.runs import directory as run_directory

        return self.out or run_directory.default_directory(name)

    def which_seeds(self) -> int | list[int]:
        """How many seeds, or which.

        Raises:
            UsageError: both are said, or the list is none.
        """
        if self.seed_list is None:
            return self.seeds or 1
        if self.seeds is not None:
            raise UsageError("--seeds says how many and --seed-list says which; give one of them")
        return whole_numbers("--seed-list", self.seed_list, such_as="0,1,2")


def report_run(result: Result, directory: Path, *, quiet: bool, as_json: bool) -> None:
    """Print a run's result, which is saved by now, so that a closed pipe costs nothing; say where it is."""
    timing = result.timing
    spent = (
        f"prepared in {duration(timing.prepare_seconds)}, trained in {duration(timing.train_seconds)} "
        f"({rate(timing.tasks_per_second, 'task')}), tested in {duration(timing.evaluate_seconds)}; "
        f"{timing.peak_memory_mb:,.0f} MiB at most"
    )
    if as_json:
        console.print_json(result.document())
    else:
        console.print_table(result.table())
        console.out().print(spent)
    if not quiet:
        console.say_where(directory)


def report_comparison(comparison: Comparison, directory: Path, *, quiet: bool, as_json: bool) -> None:
    """Print a comparison, which is saved by now; say where it is."""
    if as_json:
        console.print_json({**comparison.document(), "run_dir": str(directory)})
    else:
        console.print_table(comparison.table())
        differences = comparison.differences()
        if differences.rows:
            console.out().print()
            console.print_table(differences.table())
    if not quiet:
        console.say_where(directory)


@contextmanager
def recorded(
    again: str,
    checkpoint_every: str,
    loggers: Sequence[str] = (),
    quiet: bool = False,
) -> Iterator[Manner]:
    """How commands record runs: with a progress bar, and stopping where one can go on.

    The first SIGINT or SIGTERM asks for a checkpoint and a stop; a second one stops at once, at the last checkpoint.

    Args:
        again: the command that goes on with what was stopped.
    """
    from mamlzoo.discovery.registry import installed
    from mamlzoo.figures.drawing import drawn
    from mamlzoo.runs.policy import Interval, Manner, StoppedError

    for logger in loggers:
        installed().logger(logger)
    interval = Interval.parse(checkpoint_every)
    with display(quiet) as watcher, _Stop(console.say if quiet else watcher.says).listening() as stop:

        def progress(experiment: Experiment, event: Event) -> None:
            stop.at_once = isinstance(event, Notice)
            watcher(experiment, event)

        try:
            yield Manner(
                interval, progress, lambda: stop.asked is not None, loggers, watcher.begins, watcher.says, drawn
            )
        except (KeyboardInterrupt, StoppedError):
            stopped = StoppedError(again)
            stopped.exit_code = 128 + (stop.asked or signal.SIGINT)
            raise stopped from None


class _Stop:
    """Turns signals into a wish to stop.

    Attributes:
        asked: the signal that came, if one did.
        at_once: whether there is nothing to be written first, as while a plan is compiled.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.asked: int | None = None
        self.at_once = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked is not None, number
        if again or self.at_once:
            raise KeyboardInterrupt
        self._say("stopping at the next checkpoint; again to stop at once")

    @contextmanager
    def listening(self) -> Iterator[_Stop]:
        """Signals come here; elsewhere than in the main thread nothing can be heard."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
