"""`mamlzoo plot`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mamlzoo.cli import console
from mamlzoo.cli.flags import PluginCommand, numeric, whole_numbers
from mamlzoo.cli.run_arguments import expanded, runs_argument
from mamlzoo.errors import MamlzooError

F = TypeVar("F", bound=Callable[..., Any])


def output_flag(default: str) -> Callable[[F], F]:
    """`-o`, which every plot has."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path(default),
        show_default=True,
        help="File to write: PNG, SVG or PDF by its ending.",
    )


episode_flag = click.option(
    "--episode", default="0", show_default=True, metavar="INT,...", help="Which test tasks, by their numbers."
)
seed_flag = click.option("--seed", type=numeric(minimum=0), help="Whose θ.  [default: the first that did not diverge]")


def steps_flag(default: str) -> Callable[[F], F]:
    """`--steps`."""
    return click.option(
        "--steps", default=default, show_default=True, metavar="INT,...", help="Numbers of adaptation steps."
    )


class TaskCommand(PluginCommand):
    """A command about a task alone."""

    kinds = ("task",)


class RunsCommand(PluginCommand):
    """A command about run directories; it has the flags of their tasks."""

    kinds = ()

    def choose(self, args: list[str]) -> dict[str, list[str]]:
        from mamlzoo.discovery import serialisation
        from mamlzoo.runs import trained

        names = []
        for arg in args:
            # Some are values of flags; and what is wrong with a run directory is said in full when it is loaded.
            with contextlib.suppress(OSError, ValueError, MamlzooError):
                for run in expanded([Path(arg)]):
                    saved = trained.config_of(run)["task"]
                    serialisation.make("task", saved)
                    names.append(serialisation.text_of(saved) or saved["name"])
        return {"task": list(dict.fromkeys(names))}


MOST = 100_000
"""So many test tasks are drawn at most: all are held at once."""


def sample_flags(at_least: int, default: int) -> Callable[[F], F]:
    """How many test tasks are drawn, and which."""

    def with_flags(function: F) -> F:
        which = click.option(
            "--seed", type=numeric(minimum=0), default=0, show_default=True, help="Which set of test tasks."
        )
        count = click.option(
            "--count", type=numeric(minimum=at_least, maximum=MOST), default=default, show_default=True,
            help=f"How many test tasks, at most {MOST:,}.",
        )  # fmt: skip
        return count(which(function))

    return with_flags


@click.group("plot")
def command() -> None:
    """Draw sample tasks, fits and learning curves, as PNG, SVG or PDF."""


@command.command("gallery", cls=TaskCommand)
@sample_flags(at_least=1, default=3)
@output_flag("gallery.png")
def gallery(chosen: dict[str, list[str]], options: dict[str, Any], count: int, seed: int, output: Path) -> None:
    """Draw sample tasks: curves or points, many of them overlaid in black; classes of two inputs in panels."""
    from mamlzoo import tables
    from mamlzoo.figures import plots
    from mamlzoo.inference import samples

    plots.check_format(output)
    task = _task(chosen, options)
    found = samples.of(task, count, seed)
    _write(plots.gallery(found, f"{tables.count(samples.number_of(found), 'task')} of '{task.name}'"), output)


@command.command("average", cls=TaskCommand)
@sample_flags(at_least=2, default=10_000)
@output_flag("average.png")
def average(chosen: dict[str, list[str]], options: dict[str, Any], count: int, seed: int, output: Path) -> None:
    """Draw the mean of many tasks beside a single one: what plain pre-training learns."""
    from mamlzoo.figures import plots
    from mamlzoo.inference import samples

    plots.check_format(output)
    task = _task(chosen, options)
    _write(plots.average(samples.curves(task, count, seed), f"the mean of '{task.name}'"), output)


@command.command("curves")
@runs_argument
@click.option("--training", is_flag=True, help="Meta-loss by meta-steps instead of test metric by adaptation steps.")
@output_flag("curves.png")
def curves(runs: tuple[Path, ...], training: bool, output: Path) -> None:
    """Draw the learning curves of RUNS with 95% bands, in one figure."""
    from mamlzoo.comparisons.comparison import Comparison
    from mamlzoo.figures import plots
    from mamlzoo.runs import trained

    plots.check_format(output)
    comparison = Comparison([trained.result_of(run) for run in expanded(runs)])
    _write(_training(comparison) if training else comparison.plot(), output)


@command.command("adaptation", cls=RunsCommand)
@runs_argument
@steps_flag("0,1,10")
@episode_flag
@seed_flag
@output_flag("adaptation.png")
def adaptation(
    runs: tuple[Path, ...],
    chosen: dict[str, list[str]],
    options: dict[str, Any],
    steps: str,
    episode: str,
    seed: int | None,
    output: Path,
) -> None:
    """Draw what RUNS predict on a test task, or several, after a few numbers of steps.

    Of a function of one number it is a curve, one panel a run; of two numbers on a grid, images; of several numbers,
    predicted against true targets; of classes, their regions where an input is two numbers, the images where it is one,
    else how many query points are taken for which class. The task's own options change what is drawn:
    --task.support-min 0 makes the support set one-sided.
    """
    from mamlzoo.inference import fits

    _panels(fits.panels, runs, options, steps, episode, seed, output)


@command.command("embedding", cls=RunsCommand)
@runs_argument
@steps_flag("0")
@episode_flag
@seed_flag
@output_flag("embedding.png")
def embedding(
    runs: tuple[Path, ...],
    chosen: dict[str, list[str]],
    options: dict[str, Any],
    steps: str,
    episode: str,
    seed: int | None,
    output: Path,
) -> None:
    """Draw where the examples of a test task lie in the space in which RUNS compare them.

    Of classes, by an algorithm that embeds examples, as protonet: their first two principal components, one panel a
    run. The task's own options change what is drawn: --task.ways 10 takes more classes.
    """
    from mamlzoo.inference.embeddings import embeddings

    _panels(embeddings, runs, options, steps, episode, seed, output)


def _panels(
    draw: Callable[..., list[Any]],
    runs: tuple[Path, ...],
    options: dict[str, Any],
    steps: str,
    episode: str,
    seed: int | None,
    output: Path,
) -> None:
    """Draw what `draw` gives of each run and each test task, side by side."""
    from mamlzoo.comparisons.comparison import Comparison
    from mamlzoo.figures import plots
    from mamlzoo.runs import trained

    plots.check_format(output)
    task_options = {key.partition(".")[2]: value for key, value in options.items()}
    numbers = whole_numbers("--steps", steps, 0, such_as="0,1,10")
    episodes = whole_numbers("--episode", episode, 0, such_as="0,1,2")
    results = [trained.result_of(run) for run in expanded(runs)]
    titles = [result.name for result in results] if len(results) == 1 else Comparison(results).labels()
    panels = []
    for result, run in zip(results, titles, strict=True):
        for at in episodes:
            title = run if len(episodes) == 1 else f"{run}\ntest task {at}"
            panels += draw(result, steps=numbers, episode=at, seed=seed, task_options=task_options, title=title)
    _write(plots.adaptation(panels), output)


def _training(comparison: Any) -> Any:
    """Of all that were trained; which were not, is said."""
    from mamlzoo.figures import plots

    several = list(zip(comparison.results, comparison.labels(), plots.looks(len(comparison.results)), strict=True))
    trained = [one for one in several if one[0].history]
    if trained:
        for result, _, _ in several:
            if not result.history:
                console.say_to_copy(f"{result.run_dir or result.name}: nothing was trained, so it has no curve")
    return plots.training(*zip(*(trained or several), strict=True))


def _task(chosen: dict[str, list[str]], options: dict[str, Any]) -> Any:
    from mamlzoo.discovery.entry_points import installed

    given = {key.partition(".")[2]: value for key, value in options.items()}
    return installed().make("task", chosen["task"][0], given)


def _write(figure: Any, output: Path) -> None:
    from mamlzoo.figures import plots

    plots.save(figure, output)
    console.say_where(output)
