"""How fast the plans are beside others, in one run, one thread each. `pytest -m benchmark -n 0 tests/benchmarks`

Figures of a noisy machine: run it while nothing else does. It takes about ten minutes.
"""

from __future__ import annotations

import functools

import pytest

from mamlzoo.bench.benchmark import benchmark
from mamlzoo.bench.workload import Work

pytestmark = pytest.mark.benchmark
MAML = {"task": "sine", "model": "mlp", "algorithm": "maml"}


@functools.cache
def rates(meta_batch, seeds, against):
    found = benchmark(Work("", MAML, {}, 1, 1), [meta_batch], [seeds], ["compile"], against)
    for name, why in found.left_out.items():
        pytest.skip(f"{name}: {why}")
    print(f"\n{found.table()}")
    return {row.plan: row.tasks_per_second for row in found.rows}


@pytest.mark.parametrize("peer", ["plain", "torchopt"])
def test_forty_times_as_fast_as_a_python_loop_over_tasks(peer):
    measured = rates(25, 1, ("plain", "torchopt"))
    assert measured["compile"] >= 40 * measured[peer]


@pytest.mark.parametrize(
    ("meta_batch", "seeds", "times"),
    [(1, 1, 1.2), (1, 5, 1.2), (25, 1, 1.5), (25, 5, 1.5), (100, 1, 1.5), (100, 5, 1.5)],
)
def test_faster_than_a_jitted_scan(meta_batch, seeds, times):
    measured = rates(meta_batch, seeds, ("jax",))
    assert measured["compile"] >= times * measured["jax-scan"]
