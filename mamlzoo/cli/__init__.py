"""The command line, the only place that prints; its commands are imported when they are called."""

from __future__ import annotations

import errno
import importlib
import platform
import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import click
from click.shell_completion import CompletionItem

from mamlzoo import __version__
from mamlzoo.cli import standard_streams
from mamlzoo.contracts.reading import watched_by
from mamlzoo.engine import torchrun
from mamlzoo.errors import MamlzooError, UsageError, did_you_mean

COMMANDS = {
    "list": "Show the tasks, models, algorithms, recipes and loggers there are, and the plugins that failed.",
    "info": "Explain one plugin: its maths, its options, its reference.",
    "run": "Train and test one task × model × algorithm.",
    "resume": "Go on with a run, a comparison or a sweep that was stopped.",
    "compare": "Train and test several combinations and show them side by side.",
    "sweep": "Run every combination of several values of any options, and choose by validation.",
    "data": "Add published data sets, of which some tasks are made.",
    "trust": "Let run directories that you were handed have code of their own run.",
    "adapt": "Adapt a trained θ to points of your own, and predict.",
    "zoo": "List the trained θ that come along, to adapt without training.",
    "pack": "Make one file of a run directory, to hand on.",
    "unpack": "Make a run directory of such a file again.",
    "reproduce": "Make a published experiment again, and put its numbers beside ours.",
    "verify": "Check a combination's meta-gradient in float64.",
    "new-plugin": "Write a package with a plugin of your own, to begin from.",
    "check": "Check that plugins keep what their kind promises.",
    "bench": "Measure how fast a combination trains, beside other libraries.",
    "plot": "Draw sample tasks, fits and learning curves.",
    "explore": "Write a page on which runs adapt, live, to points that you drag.",
    "report": "Put runs on one HTML page: tables, figures, configs, commands.",
}


class Commands(click.Group):
    """Loads the module of a command when it is asked for, and turns errors into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # `list` is a module of this package once it is loaded

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mamlzoo.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the words above, as help is: nobody waits for modules behind Tab."""
        commands = [CompletionItem(name, help=help) for name, help in COMMANDS.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise UsageError(f"there is no command '{name}'; {did_you_mean(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:  # click would say it in three lines
            _tell(error.format_message())
            ctx.exit(error.exit_code)

    def invoke(self, ctx: click.Context) -> object:
        with standard_streams.steady(), watched_by(_reading):
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:  # of a group below this one; its help is no error
            raise
        except (MamlzooError, click.UsageError) as error:
            if (
                isinstance(error, MamlzooError) and error.plugin is not None
            ):  # raised outside of an experiment, as by `plot`
                importlib.import_module("mamlzoo.discovery.blame").locate(error)
            if ctx.params["debug"]:
                raise
            message = error.format_message() if isinstance(error, click.UsageError) else str(error)
            if message:  # of a worker that follows another it is empty: that one speaks
                _tell(message, getattr(error, "headline", "Error: "))
            ctx.exit(error.exit_code)
        except OSError as error:
            if ctx.params["debug"] or error.errno == errno.EPIPE:  # whoever read has read enough
                raise
            where = f"{error.filename}: " if error.filename is not None else ""
            _tell(f"{where}{error.strerror or error}")
            ctx.exit(1)


def _reading(what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """A bar of its own for what is read while no others are shown, once it takes long."""
    progress = importlib.import_module("mamlzoo.cli.progress")  # which nothing needs until then
    asked = click.get_current_context(silent=True)
    quiet = asked is not None and bool(asked.params.get("quiet"))
    shown: AbstractContextManager[Callable[[int], None]] = progress.alone(what, total, quiet)
    return shown


def _tell(message: str, headline: str = "Error: ") -> None:
    message = re.sub(r"\s*[\r\n]\s*", " ", message)  # as of a path with a line end in it
    if torchrun.rank() > 0 and headline:  # all workers write to one terminal
        message = f"worker {torchrun.rank()} on {platform.node()}: {message}"
    console = importlib.import_module("mamlzoo.cli.console")  # rich, which nothing needs until then
    if headline:
        console.err().print(f"{headline}{message}")
    else:  # no error, but where to go on
        console.say_to_copy(message)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="With no option at all, `mamlzoo run` trains MAML on the sine family, in less than a minute.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="mamlzoo")
def main(debug: bool) -> None:
    """A zoo of meta-learning: mix any task, model and meta-algorithm, and trust the numbers."""
