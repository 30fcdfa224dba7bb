"""The cost of a meta-step by one process and by two workers, as a model, and what the model says of more of them.

    python tests/benchmarks/scaling.py

MAML on sine waves by `compile`, one thread each. A meta-step of W workers that divide S seeds of B tasks takes

    t = S_w·(a + d·B + c·B_w) + x(bytes)

where S_w seeds and B_w tasks of each are a worker's: S/W and B where seeds are divided, and x is 0 then; S and B/W where
tasks are. Every worker draws all B tasks. By least squares of logarithms over runs of one process come a, and c + d; d is
measured alone; x is what a message of so many bytes takes. The runs of two workers are predicted, and measured beside.
It takes about five minutes, while nothing else is to run. What is said of machines that are not here is by costs and
messages that are assumed, as `elsewhere` has them, not measured.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch

from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.neighbours import MOST
from mamlzoo.engine.workers import group
from mamlzoo_tasks.sine import Sine

REPEATS = 3
ALONE = [(1, 25), (1, 50), (1, 100), (1, 200), (1, 400)]
"""Seeds and tasks of the runs that the model is fitted to."""
BY_TWO = [(10, 25), (2, 25), (1, 50), (1, 200), (1, 400)]
"""Those that it predicts for two workers."""
TASKS = 1_000_000
"""Of each run, seeds and meta-steps together."""
BYTES = [7_048, MOST, 450_000, 4_000_000]
"""θ of an MLP 1-40-40-1 in float32, the longest that goes by a socket, θ of four convolutions, a million numbers."""
ENVIRONMENT = os.environ | {
    "LOCAL_WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0",
}  # fmt: skip


def rate(seeds: int, tasks: int, workers: int) -> float:
    """Tasks a second of a run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "mamlzoo", "run", "--seeds", str(seeds), "--meta-batch", str(tasks), "--iterations",
            str(TASKS // seeds // tasks), "--plan", "compile", "--threads", "1", "--test-tasks", "20", "--test-steps", "1",
            "--workers", str(workers), "--out", f"{folder}/run", "--json", "-q",
        ]  # fmt: skip
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["timing"]["tasks_per_second"])


def rates(seeds: int, tasks: int) -> tuple[float, float]:
    """The median of several runs by one process, and by two workers, in turns."""
    pairs = [(rate(seeds, tasks, 1), rate(seeds, tasks, 2)) for _ in range(REPEATS)]
    alone, both = zip(*pairs, strict=True)
    return statistics.median(alone), statistics.median(both)


def drawing() -> float:
    """Seconds to draw a task of a meta-step."""
    stream, times = TrainingStream(Sine(), (0,), 200, torch.device("cpu")), []
    for position in range(8):
        start = time.perf_counter()
        stream.block(position)
        times.append((time.perf_counter() - start) / stream.block_length / 200)
    return statistics.median(times)


def speak(folder: Path, rank: int, here: str) -> None:
    """A worker that does nothing but add up; the first prints what that takes, in seconds, by bytes."""
    os.environ["LOCAL_WORLD_SIZE"] = here
    with group(f"file://{folder}/store", 2, rank) as workers:
        found = []
        for size in BYTES:
            numbers, times = torch.randn(1, size // 4), []
            for _ in range(300):
                start = time.perf_counter()
                workers.total(numbers)
                times.append(time.perf_counter() - start)
            found.append(statistics.median(times))
    if rank == 0:
        print(json.dumps(found))


def messages(here: int) -> list[float]:
    """Seconds of a sum over two workers, by bytes.

    Args:
        here: how many of them each takes to be on its machine: 2, or 1, so that all goes by gloo.
    """
    with tempfile.TemporaryDirectory() as folder:
        two = [
            subprocess.Popen(
                [sys.executable, __file__, folder, str(rank), str(here)], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
            )
            for rank in (0, 1)
        ]  # fmt: skip
        said, _ = (process.communicate(timeout=120)[0] for process in two)
    return [float(value) for value in json.loads(said)]


def fitted(measured: dict[tuple[int, int], float]) -> tuple[float, float]:
    """a and c + d of t = a + (c + d)·B, in seconds, with the least relative errors."""
    times = torch.tensor([tasks / found for (_, tasks), found in measured.items()], dtype=torch.float64)
    tasks = torch.tensor([float(tasks) for _, tasks in measured], dtype=torch.float64)
    design = torch.stack([torch.ones_like(tasks), tasks], 1) / times[:, None]
    a, slope = torch.linalg.lstsq(design, torch.ones(len(tasks), 1, dtype=torch.float64)).solution[:, 0].tolist()
    return a, slope


class Cost(NamedTuple):
    """Of a meta-step, in seconds.

    Attributes:
        own: of a seed: the optimiser, and what else there is once.
        task: of a task: its gradient.
        drawn: of a task: to draw it.
    """

    own: float
    task: float
    drawn: float

    def seconds(self, seeds: int, tasks: int, workers: int = 1, message: float = 0.0) -> float:
        """Of the worker that has most to do."""
        if workers <= seeds:
            return math.ceil(seeds / workers) * (self.own + (self.task + self.drawn) * tasks)
        return seeds * (self.own + self.drawn * tasks + self.task * math.ceil(tasks / workers)) + message


def ring(size: int, workers: int, latency: float, bandwidth: float) -> float:
    """Seconds of an all-reduce by a ring: 2(W − 1) messages of a W-th of the bytes (Patarasuk and Yuan 2009)."""
    return 2 * (workers - 1) * (latency + size / workers / bandwidth)


class Elsewhere(NamedTuple):
    """What nobody measured here: seconds and bytes a second are assumed."""

    name: str
    cost: Cost
    tasks: int
    workers: int
    size: int
    message: float


def elsewhere(here: Cost) -> list[Elsewhere]:
    """Machines that are not here. By `here`'s cost, or by that of a meta-step of 10 ms on a GPU and of 200 ms on a CPU."""
    gpu, images = Cost(5e-4, 9.5e-3 / 64, 0.0), Cost(1e-3, 199e-3 / 32, 0.0)
    nvlink, ethernet = (5e-6, 200e9), (50e-6, 10e9)
    return [
        Elsewhere("sine, 64 nodes", here, 200, 64, 7_048, ring(7_048, 64, *ethernet)),
        Elsewhere("200 ms, 8 nodes", images, 32, 8, 450_000, ring(450_000, 8, *ethernet)),
        Elsewhere("200 ms, 32 nodes", images, 32, 32, 450_000, ring(450_000, 32, *ethernet)),
        Elsewhere("10 ms, 8 GPUs", gpu, 64, 8, 450_000, ring(450_000, 8, *nvlink)),
        Elsewhere("10 ms, 64 GPUs on 64 nodes", gpu, 64, 64, 450_000, ring(450_000, 64, *ethernet)),
    ]


def main() -> None:
    """Measure, fit, predict."""
    torch.set_num_threads(1)
    found = {of: rates(*of) for of in dict.fromkeys([*ALONE, *BY_TWO])}
    drawn, near, far = drawing(), messages(2), messages(1)
    own, slope = fitted({of: found[of][0] for of in ALONE})
    cost = Cost(own, slope - drawn, drawn)
    print(f"measured: a {own * 1e6:.0f} us, c {cost.task * 1e6:.2f} us, d {drawn * 1e6:.2f} us")
    print("\nmeasured: a sum over two workers\n      bytes   by sockets, us   by gloo, us")
    for size, quick, slow in zip(BYTES, near, far, strict=True):
        print(f"{size:11,d} {f'{quick * 1e6:.0f}' if size <= MOST else '':>16s} {slow * 1e6:13.0f}")
    print("\nmeasured, and what the model says\nseeds   tasks   one, tasks/s   two, tasks/s   times   model")
    for seeds, tasks in BY_TWO:
        alone, both = found[seeds, tasks]
        says = cost.seconds(seeds, tasks) / cost.seconds(seeds, tasks, 2, near[0])
        print(f"{seeds:5d} {tasks:7d} {alone:14,.0f} {both:14,.0f} {both / alone:7.2f} {says:7.2f}")
    print("\npredicted, tasks divided\n                             workers   message, us   times")
    for name, its, tasks, workers, _, message in elsewhere(cost):
        times = its.seconds(1, tasks) / its.seconds(1, tasks, workers, message)
        print(f"{name:28s} {workers:7d} {message * 1e6:13.0f} {times:7.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        speak(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    else:
        main()
