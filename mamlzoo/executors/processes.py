"""Jobs in processes of this machine, which share its cores out, and its GPUs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import final

import torch

from mamlzoo.engine.cpu import available_threads
from mamlzoo.executors import messages
from mamlzoo.executors.executor import Executor, Job, Pool, Started
from mamlzoo.executors.job_process import JobProcess, with_threads
from mamlzoo.executors.messages import Message
from mamlzoo.executors.needs import most_threads, wants_gpu

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable that says which GPUs a process has."""


@final
class Processes(Executor):
    """Processes of this machine."""

    def __init__(self, at_once: int | None = None) -> None:
        """Choose how many.

        Args:
            at_once: jobs at a time; None: one for each GPU where they want one, else as many as cores have room for.
        """
        self._at_once = at_once

    @contextmanager
    def opened(self, jobs: Sequence[Job]) -> Iterator[Pool]:
        cores, gpus = available_threads(), _gpus() if wants_gpu(jobs) else []
        slots = self._at_once or len(gpus) or max(1, cores // (most_threads(jobs) or 1))
        slots = min(slots, sum(len(job.runs) for job in jobs))
        yield _Here(slots, max(1, cores // slots), gpus)


@final
class _Here(Pool):
    """This machine."""

    is_elsewhere = False

    def __init__(self, slots: int, threads: int, gpus: Sequence[str]) -> None:
        self.slots, self.threads, self._gpus = slots, threads, gpus

    def start(self, order: bytes, slot: int, tell: Callable[[Message], None]) -> Started:
        environment = with_threads(self.threads)
        if self._gpus:
            environment[VISIBLE] = self._gpus[slot % len(self._gpus)]
        return _OnThisMachine(JobProcess(environment), order, tell)


@final
class _OnThisMachine(Started):
    """A process of this machine, with a thread that hears what it says."""

    def __init__(self, process: JobProcess, order: bytes, tell: Callable[[Message], None]) -> None:
        self._process = process
        self._thread = threading.Thread(target=self._listen, args=(order, tell), daemon=True)
        self._thread.start()

    def _listen(self, order: bytes, tell: Callable[[Message], None]) -> None:
        for message in self._process.made(order):
            tell(messages.unpacked(message))

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()
        self._thread.join()


def _gpus() -> list[str]:
    """The GPUs that this process may use, as the variable names them."""
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return named or [str(at) for at in range(torch.cuda.device_count())]
