"""The flags that `run`, `compare` and `sweep` share, and what is asked for by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mamlzoo.cli import completion
from mamlzoo.cli.argument_words import SHORT_FLAGS
from mamlzoo.cli.flags import numeric, whole_numbers
from mamlzoo.errors import UsageError
from mamlzoo.experiments.settings import MOST_SEEDS

if TYPE_CHECKING:
    from mamlzoo.experiments.experiment import Experiment

F = TypeVar("F", bound=Callable[..., Any])

checkpoint_flag = click.option(
    "--checkpoint-every",
    default="30s",
    show_default=True,
    metavar="INT|TIME",
    help="Write a checkpoint every so many meta-steps, as 200, or so much time, as 30s, 5m, 1h.",
)


workers_flag = click.option(
    "--workers",
    type=numeric(minimum=1, maximum=1024),
    default=1,
    metavar="INT",
    help="Divide the run among so many processes of this machine: its seeds, or the tasks of each meta-step.",
)


log_flag = click.option(
    "--log",
    "loggers",
    multiple=True,
    metavar="NAME",
    shell_complete=completion.loggers,
    help="Tell this logger what happens, as csv-log or mlflow; may be repeated.",
)


def run_flags(function: F) -> F:
    """The flags of `run`, `compare` and `sweep` that are no settings."""
    for flag in (
        click.option(
            "--save-config",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write what all flags say, and the config file, to a new config file; run nothing.",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Config file in TOML, which says what flags would; those that are given as well win.",
        ),
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
    """What the flags of `run`, `compare` and `sweep` ask for."""

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
    save_config: Path | None

    def experiments(self, *, tried: bool = True) -> list[Experiment]:
        """Every combination chosen.

        Args:
            tried: once, before the first is run.

        Raises:
            UsageError: something was asked for that cannot be.
        """
        from mamlzoo.runs.name_resolution import combined, experiments

        return (experiments if tried else combined)(
            *(self.chosen[kind] for kind in SHORT_FLAGS),
            options=self.options,
            seeds=self.which_seeds(),
            **self.settings,
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
