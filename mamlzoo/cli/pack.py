"""`mamlzoo pack`."""

from __future__ import annotations

from pathlib import Path

import click

from mamlzoo.cli import console


@click.command("pack")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="File to write.  [default: RUN.safetensors, here]")
@click.option("--quiet", "-q", is_flag=True, help="Say only what is left out.")
def command(run: Path, out: Path | None, quiet: bool) -> None:
    """Make one file of a finished RUN directory, to hand on.

    It holds the trained θ, the config, the records, the test metrics and the optimiser's state: numbers and words in
    the safetensors format, and no code. `adapt`, `--init-from`, `plot`, `report` and `mamlzoo.load` take it as they
    take the directory; `mamlzoo unpack` makes a directory of it again, without the figures.
    """
    from mamlzoo.experiments.trained_places import SUFFIX
    from mamlzoo.runs import directory as run_directory
    from mamlzoo.runs import packed_run, trained

    result = run_directory.load(run)
    file = out or Path(f"{trained.title_of(run)}{SUFFIX}")
    packed = packed_run.pack(result, file)
    if not quiet:
        console.out().print(f"{result.name}: {packed.size:,} bytes, SHA-256 {packed.sha256}")
    for line in packed_run.left_out(result):
        console.say_to_copy(line)
    if not quiet:
        console.say_where(file)
