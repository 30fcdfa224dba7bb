"""The flags that say by what executor several runs are made."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from mamlzoo.cli.flags import numeric
from mamlzoo.executors.choice import LOCAL, NAMES

if TYPE_CHECKING:
    from mamlzoo.executors.executor import Executor

F = TypeVar("F", bound=Callable[..., Any])


def executor_flags(function: F) -> F:
    """`--executor`, `--jobs` and `--address`; the callback gets them as `executor`, `jobs` and `address`."""
    for flag in (
        click.option("--address", metavar="HOST:PORT", help="Ray cluster to use, or auto.  [default: one of its own]"),
        click.option(
            "--jobs",
            type=numeric(minimum=1),
            metavar="INT",
            help="How many runs at a time, by processes or ray.  [default: as many as the cores have room for]",
        ),
        click.option(
            "--executor",
            type=click.Choice(NAMES),
            default=LOCAL,
            show_default=True,
            help="Make the runs one after another, several at a time in processes of this machine, or over a ray "
            "cluster.",
        ),
    ):
        function = flag(function)
    return function


class ExecutorChoice(NamedTuple):
    """What these flags say."""

    name: str
    jobs: int | None
    address: str | None

    def executor(self) -> Executor | None:
        """None: one run after another, in this process.

        Raises:
            UsageError: they contradict each other, or ray is not installed.
        """
        from mamlzoo.executors.choice import executor_of

        return executor_of(*self)

    def __str__(self) -> str:
        """As they are added to a command; nothing where there is nothing to say."""
        words = [] if self.name == LOCAL else ["--executor", self.name]
        words += [] if self.jobs is None else ["--jobs", str(self.jobs)]
        words += [] if self.address is None else ["--address", self.address]
        return "".join(f" {shlex.quote(word)}" for word in words)
