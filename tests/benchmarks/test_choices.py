"""What `auto` chooses where the plans differ most. `pytest -m benchmark -n 0 tests/benchmarks`"""

from __future__ import annotations

import time

import pytest

import mamlzoo
from images import Conv64, Images

pytestmark = pytest.mark.benchmark


def test_second_order_convolutions_on_a_cpu_are_never_batched_eagerly():
    result = mamlzoo.run(Images(), Conv64(), "maml", meta_batch=16, iterations=12, test_tasks=4, test_steps=1)
    print(result.plan)
    assert result.plan.plan in {"loop", "compile"}


def test_a_thousand_tasks_by_a_hundred_steps_by_five_seeds_are_evaluated_in_seconds():
    start = time.perf_counter()
    result = mamlzoo.run(algorithm="scratch", seeds=5, test_steps=100)
    print(f"\n{time.perf_counter() - start:.1f} s, of which {result.timing.evaluate_seconds:.1f} s of evaluation")
    assert result.timing.evaluate_seconds < 60
