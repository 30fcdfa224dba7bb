"""`mamlzoo bench`."""

from __future__ import annotations

from typing import Any

import click

from mamlzoo.cli import console
from mamlzoo.cli.flags import PluginCommand
from mamlzoo.errors import UsageError


@click.command("bench", cls=PluginCommand)
@click.option("--meta-batch", default="25", show_default=True, metavar="INT,...", help="Episodes of a meta-step.")
@click.option("--seeds", default="1", show_default=True, metavar="INT,...", help="How many seeds side by side.")
@click.option(
    "--plans", default="loop,vmap,compile", show_default=True, metavar="NAME,...", help="Which plans to measure."
)
@click.option(
    "--against",
    default="",
    metavar="NAME,...",
    help="Others on the same work: plain, higher, torchopt, jax (from `mamlzoo[bench]`).",
)
@click.option("--seconds", type=click.FloatRange(min=0.01), default=1.0, show_default=True, help="Of each repeat.")
@click.option("--repeats", type=click.IntRange(min=1), default=5, show_default=True, help="The median is shown.")
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="CPU threads for each.")
@click.option("--device", default="cpu", show_default=True, help="Where to compute, as torch names it.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
def command(
    chosen: dict[str, list[str]],
    options: dict[str, Any],
    meta_batch: str,
    seeds: str,
    plans: str,
    against: str,
    seconds: float,
    repeats: int,
    threads: int,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure how fast a combination trains, by every plan, and beside other libraries.

    Prints tasks a second, seconds to the first meta-step and peak memory of each. Every row is a process of its own,
    bound to as many cores as it has threads.
    """
    from mamlzoo.bench.benchmark import benchmark
    from mamlzoo.bench.work import Work
    from mamlzoo.cli.progress import display

    names = {kind: names[0] for kind, names in chosen.items()}
    work = Work("", names, options, 1, 1, device, threads, seconds, repeats)
    with display(quiet) as watcher:
        found = benchmark(
            work,
            _whole_numbers("--meta-batch", meta_batch),
            _whole_numbers("--seeds", seeds),
            _names(plans),
            _names(against),
            progress=lambda done, total, now: watcher.counts(f"bench {now}", done, total),
        )
    if as_json:
        console.print_json(found.document())
    else:
        console.print_table(found.table())


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _whole_numbers(flag: str, text: str) -> list[int]:
    try:
        numbers = [int(part) for part in _names(text)]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise UsageError(f"{flag}: '{text}' is no list of whole numbers from 1 up, such as 1,25,100")
    return numbers
