"""What `run` and `compare` share: their flags, and a progress bar over an experiment's records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mamlzoo.cli import console
from mamlzoo.cli.flags import KINDS
from mamlzoo.engine.preparation import Choice, Notice
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.errors import UsageError
from mamlzoo.tables import Table, number

if TYPE_CHECKING:
    from rich.progress import Progress

    from mamlzoo.experiment import Event, Experiment, Listener

F = TypeVar("F", bound=Callable[..., Any])


def run_flags(function: F) -> F:
    """The flags of `run` and `compare` that are no settings."""
    for flag in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table."),
        click.option("--quiet", "-q", is_flag=True, help="No progress and no logs."),
        click.option(
            "--out", type=click.Path(path_type=Path), help="Directory to save to.  [default: a new one below runs/]"
        ),
        click.option("--seed-list", metavar="INT,...", help="Which seeds, instead of how many."),
        click.option(
            "--seeds", type=click.IntRange(min=1), help="How many seeds, 0, 1, …, trained side by side.  [default: 1]"
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
    quiet: bool
    as_json: bool

    def experiments(self) -> list[Experiment]:
        """Every combination chosen, tried once.

        Raises:
            UsageError: something was asked for that cannot be.
        """
        from mamlzoo.combinations import experiments

        return experiments(
            *(self.chosen[kind] for kind in KINDS), options=self.options, seeds=self._seeds(), **self.settings
        )

    @contextmanager
    def saving(self, name: str) -> Iterator[tuple[Path, Path]]:
        """A temporary directory to write to, and the one that it becomes if all goes well."""
        from mamlzoo import store

        directory = self.out or store.default_directory(name)
        with store.new_directory(directory) as temporary:
            yield temporary, directory

    def report(
        self, table: Table, document: Any, directory: Path, timing: str = "", further: Sequence[Table] = ()
    ) -> None:
        """Print a result that is saved by now, so that a closed pipe costs nothing; say where it is."""
        if self.as_json:
            console.print_json(document)
        else:
            console.print_table(table)
            for below in further:
                console.out().print()
                console.print_table(below)
            if timing:
                console.out().print(timing)
        if not self.quiet:
            console.say_where(directory)

    @contextmanager
    def progress(self) -> Iterator[Listener]:
        """A listener for experiments that shows a progress bar."""
        with console.progress_bar(self.quiet) as bar:
            yield _Bars(bar, self.quiet)

    def _seeds(self) -> int | list[int]:
        if self.seed_list is None:
            return self.seeds or 1
        if self.seeds is not None:
            raise UsageError("--seeds says how many and --seed-list says which; give one of them")
        try:
            return [int(part) for part in self.seed_list.split(",")]
        except ValueError:
            raise UsageError(f"--seed-list: '{self.seed_list}' is no list of whole numbers such as 0,1,2") from None


class _Bars:
    """Shows what an experiment is doing as one bar at a time, and which plan it chose as a line."""

    def __init__(self, bar: Progress, quiet: bool) -> None:
        self._bar, self._quiet = bar, quiet
        self._shown: object = None

    def __call__(self, experiment: Experiment, event: Event) -> None:
        if isinstance(event, Choice):
            if not self._quiet:
                self._bar.console.print(f"{experiment.name} by {event.plan}: {event.why}", markup=False)
        elif isinstance(event, Notice):
            self._show((experiment, event), event.text)
        elif isinstance(event, TrainingRecord):
            self._show((experiment, "train"), f"train {experiment.name}")
            self._training(experiment, event)
        else:
            self._show((experiment, "test"), f"test {experiment.name}")
            self._bar.update(self._bar.task_ids[-1], completed=event.done, total=event.total)

    def _show(self, what: object, description: str) -> None:
        if self._shown == what:
            return
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._bar.add_task(description, total=None, info="")
        self._shown = what

    def _training(self, experiment: Experiment, record: TrainingRecord) -> None:
        settings, task = experiment.settings, self._bar.tasks[-1]
        info = f"loss {number(float(record.losses.mean()))}"
        if task.speed:
            info += f" · {task.speed * settings.meta_batch * len(settings.seeds):,.0f} tasks/s"
        if record.diverged:
            info += f" · {len(record.diverged)} of {len(settings.seeds)} seeds diverged"
        self._bar.update(task.id, completed=record.step, total=settings.iterations, info=info)
