"""`mamlzoo bench`."""

from __future__ import annotations

from typing import Any

import click

from mamlzoo.cli import console
from mamlzoo.cli.flags import SettingsCommand, numeric, whole_numbers
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.errors import UsageError


class BenchCommand(SettingsCommand):
    """Of a run's settings it has those that a meta-step's work depends on."""

    only = frozenset({
        "outer_lr", "optimizer", "clip_norm", "clip_per", "ema", "meta_reduction", "chunk", "norm_statistics",
        "recompute", "precision",
    })  # fmt: skip


@click.command("bench", cls=BenchCommand)
@click.option("--meta-batch", default="25", show_default=True, metavar="INT,...", help="Episodes of a meta-step.")
@click.option("--seeds", default="1", show_default=True, metavar="INT,...", help="How many seeds side by side.")
@click.option(
    "--plans", default="loop,vmap,compile", show_default=True, metavar="NAME,...", help="Which plans to measure."
)
@click.option(
    "--against",
    default="",
    metavar="NAME,...",
    help="Others on the same work: plain, higher, torchopt, parallel-metalearn, jax (from `mamlzoo[bench]`).",
)
@click.option("--seconds", type=numeric(float, minimum=0.01), default=1.0, show_default=True, help="Of each repeat.")
@click.option("--repeats", type=numeric(minimum=1), default=5, show_default=True, help="The median is shown.")
@click.option(
    "--threads", type=numeric(minimum=1, maximum=1024), default=1, show_default=True, help="CPU threads for each."
)
@click.option("--device", default="cpu", show_default=True, help="Where to compute, as torch names it.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
def command(
    chosen: dict[str, list[str]],
    options: dict[str, Any],
    settings: dict[str, Any],
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
    from mamlzoo.bench.workload import Work
    from mamlzoo.cli.progress import display
    from mamlzoo.experiments.settings import Settings

    if not plans.strip() and not against.strip():
        raise UsageError("there is nothing to measure; name plans by --plans, as loop,vmap, or others by --against")
    Settings(**settings, device=device)  # refused before a process begins
    names = {kind: names[0] for kind, names in chosen.items()}
    work = Work("", names, options, 1, 1, device, threads, seconds, repeats, settings)
    with display(quiet) as watcher:
        found = benchmark(
            work,
            whole_numbers("--meta-batch", meta_batch, 1, such_as="1,25,100"),
            whole_numbers("--seeds", seeds, 1, such_as="1,25,100"),
            _names("--plans", plans),
            _names("--against", against),
            progress=lambda done, total, now: watcher.counts(f"bench {now}", done, total),
        )
    if as_json:
        console.print_json(found.document())
    else:
        console.print_table(found.table())


def _names(flag: str, text: str) -> list[str]:
    """The names that a flag lists; of an empty text, none."""
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    if not all(names):
        raise UsageError(f"{flag}: {shown(text)} lacks a name; write several as a,b")
    return list(dict.fromkeys(names))
