"""Run contenders one after another, each in a process of its own, and put their rows together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mamlzoo.bench.workload import PEERS, PLANS, Row, Work
from mamlzoo.errors import MamlzooError, UsageError, did_you_mean
from mamlzoo.tables import Table, count, number

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Benchmark:
    """Rows in the order they were measured, and who was left out, why."""

    title: str
    rows: Sequence[Row]
    left_out: Mapping[str, str]
    threads: int
    device: str

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "title": self.title,
            "device": self.device,
            "threads": self.threads,
            "rows": [asdict(row) for row in self.rows],
            "left_out": dict(self.left_out),
        }

    def table(self) -> Table:
        """A line a row; the last column is the fastest plan's rate on the same work, divided by this one's."""
        columns = ["by", "meta-batch", "seeds", "tasks/s", "spread", "first step s", "peak MiB", "mamlzoo ÷"]
        best: dict[tuple[int, int], float] = {}
        for row in self.rows:
            if row.plan in PLANS:
                key = (row.meta_batch, row.seeds)
                best[key] = max(best.get(key, 0.0), row.tasks_per_second)
        lines = [
            [
                row.plan,
                str(row.meta_batch),
                str(row.seeds),
                f"{row.tasks_per_second:,.0f}",
                f"±{(row.highest - row.lowest) / 2 / row.tasks_per_second:.0%}",
                number(row.first_step_seconds, 3),
                f"{row.peak_memory_mb:,.0f}",
                f"{fastest / row.tasks_per_second:.2f}" if (fastest := best.get((row.meta_batch, row.seeds))) else "",
            ]
            for row in self.rows
        ]
        threads = count(self.threads, "thread")
        notes = [f"on {self.device}, {threads}; tasks/s are medians of the repeats; each row in a process of its own"]
        notes += [f"{name} left out: {why}" for name, why in self.left_out.items()]
        return Table(f"{self.title}: tasks a second", columns, lines, notes)


def benchmark(
    work: Work,
    meta_batches: Sequence[int],
    seeds: Sequence[int],
    plans: Sequence[str] = PLANS,
    against: Sequence[str] = (),
    progress: Progress | None = None,
) -> Benchmark:
    """Measure every plan and peer on every meta-batch and number of seeds.

    Args:
        work: of which contender, meta-batch and seeds are replaced.
        progress: called with what is done, the total, and what comes next.

    Raises:
        UsageError: an unknown plan or peer, or a combination that cannot work.
    """
    for given, known, what in ((plans, PLANS, "plan"), (against, PEERS, "peer")):
        for name in given:
            if name not in known:
                raise UsageError(f"there is no {what} '{name}'; {did_you_mean(name, known)}")
    contenders = [*plans, *(contender for peer in against for contender in PEERS[peer])]
    works = [
        replace(work, contender=contender, meta_batch=meta_batch, seeds=count)
        for meta_batch in meta_batches
        for count in seeds
        for contender in contenders
    ]
    rows: list[Row] = []
    left_out: dict[str, str] = {}
    for done, one in enumerate(works):
        if progress is not None:
            progress(done, len(works), f"{one.contender}, meta-batch {one.meta_batch}, seeds {one.seeds}")
        if one.contender in left_out:
            continue
        answer = _measured(one)
        if "row" in answer:
            rows.append(Row(**answer["row"]))
        elif "left_out" in answer:
            left_out[one.contender] = answer["left_out"]
        else:
            raise UsageError(answer["error"])
    return Benchmark(" × ".join(work.names.values()), rows, left_out, work.threads, work.device)


def _measured(work: Work) -> dict[str, Any]:
    """The worker's answer."""
    threads = str(work.threads)
    one_core = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    environment = {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "JAX_PLATFORMS": work.device.partition(":")[0],
    }
    if work.threads == 1:
        environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {one_core}".strip()
    process = subprocess.run(
        [sys.executable, "-m", "mamlzoo.bench.worker", json.dumps(asdict(work))],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )
    if process.returncode:
        reason = (process.stderr.strip().splitlines() or ["no output"])[-1]
        raise MamlzooError(f"measuring {work.contender} failed: {reason}")
    answer: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return answer
