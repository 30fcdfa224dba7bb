"""What limits a meta-step: how much of what the core can do goes into its matrix products.

    python tests/benchmarks/roofline.py

For MAML with one inner step on an MLP 1-40-40-1, 10 shots, 10 queries. One thread.
"""

from __future__ import annotations

import statistics
import time

import torch

from mamlzoo.bench.own_plans import Own
from mamlzoo.bench.workload import Work

HIDDEN, POINTS = 40, 10
MAML = {"task": "sine", "model": "mlp", "algorithm": "maml"}
# With fast weights of its own for each task: two forward passes, and their two backward passes by inputs and weights;
# then the derivative of the inner gradient, twice its work again less what the first layer does not need.
PRODUCTS = 12
"""Products of [10, 40] and [40, 40] matrices for one task of one meta-step, as counted in the traced graph."""


def seconds(function) -> float:
    function()
    times = []
    for _ in range(7):
        start, calls = time.perf_counter(), 0
        while time.perf_counter() - start < 0.1:
            function()
            calls += 1
        times.append((time.perf_counter() - start) / calls)
    return statistics.median(times)


def peak_rate() -> float:
    """GFLOP/s of a product large enough to show what the core can do."""
    a, b, out = (torch.randn(1024, 1024) for _ in range(3))
    return 2 * 1024**3 / seconds(lambda: torch.mm(a, b, out=out)) / 1e9


def reached(tasks: int) -> float:
    """Tasks a second of the plan `compile`."""
    contender = Own(Work("compile", MAML, {}, tasks, 1))
    steps = max(256, 50_000 // tasks)
    return steps * tasks / seconds(lambda: contender.run(steps))


if __name__ == "__main__":
    torch.set_num_threads(1)
    peak, work = peak_rate(), PRODUCTS * 2 * POINTS * HIDDEN * HIDDEN / 1e9
    print(f"peak of a core, 1024 × 1024: {peak:.0f} GFLOP/s")
    print("tasks   tasks/s   products GFLOP/s   of the peak")
    for tasks in (1, 25, 100):
        speed = reached(tasks)
        print(f"{tasks:5d} {speed:9,.0f} {work * speed:18.1f} {work * speed / peak:13.0%}")
