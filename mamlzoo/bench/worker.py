"""Measures one contender in a process of its own: `python -m mamlzoo.bench.worker WORK`, both ways JSON."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict

from mamlzoo.bench.contenders import contender_for
from mamlzoo.bench.workload import CannotRunError, Contender, Row, Work


def measure(work: Work, build: Callable[[Work], Contender]) -> Row:
    """Let a contender work: once to begin, then for a while, several times."""
    import torch

    from mamlzoo.engine.memory import peak_memory

    start = time.perf_counter()
    contender = build(work)
    contender.run(1)
    first = time.perf_counter() - start
    steps, took = 1, 0.0
    while took < work.seconds / 4:
        steps, took = _timed(contender, 2 * steps)
    steps = max(1, round(steps * work.seconds / took))
    rates = []
    for _ in range(work.repeats):
        made, took = _timed(contender, steps)
        rates.append(made * work.meta_batch * work.seeds / took)
    return Row(
        plan=work.contender,
        meta_batch=work.meta_batch,
        seeds=work.seeds,
        tasks_per_second=statistics.median(rates),
        lowest=min(rates),
        highest=max(rates),
        first_step_seconds=first,
        peak_memory_mb=peak_memory(torch.device(work.device)),
    )


def _timed(contender: Contender, steps: int) -> tuple[int, float]:
    start = time.perf_counter()
    made = contender.run(steps)
    return made, time.perf_counter() - start


def _bind_to_cores(count: int) -> None:
    """Nobody is to win by cores that the others do not use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def main() -> None:
    """Read the work from the command line, write a row, or why there is none, to stdout."""
    from mamlzoo.errors import MamlzooError

    work = Work(**json.loads(sys.argv[1]))
    _bind_to_cores(work.threads)
    import torch

    torch.set_num_threads(work.threads)
    try:
        answer: dict[str, object] = {"row": asdict(measure(work, contender_for))}
    except CannotRunError as error:
        answer = {"left_out": str(error)}
    except MamlzooError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
