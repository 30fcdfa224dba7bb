"""A process that makes a job, seen from the one that started it.

It lives no longer than that one does: it ends when its stdin does. Nothing here imports torch, as in `messages`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mamlzoo.errors import LONGEST
from mamlzoo.executors import messages

BEGINS = "import sys; sys.path[:] = {path!r}; from mamlzoo.executors import job; job.main({folder!r})"
"""What it executes: it finds modules where this process does, whatever lies in its working directory."""
LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""How libraries are told of how many threads they may have."""


def with_threads(threads: int) -> dict[str, str]:
    """The environment of a process that computes with so many threads."""
    return {name: str(threads) for name in LIBRARIES}


class JobProcess:
    """A process that makes a job."""

    def __init__(
        self, environment: Mapping[str, str], folder: Path | None = None, working_directory: Path | None = None
    ) -> None:
        """Start it; it waits for its order.

        Args:
            environment: what differs from this process's.
            folder: an empty one of its own, for runs whose directories are elsewhere.
            working_directory: None: this process's.
        """
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        program = BEGINS.format(path=sys.path, folder=None if folder is None else str(folder))
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | environment,
            cwd=working_directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C is for the process that wants the job made, which tells this one
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout

    def made(self, order: bytes) -> Iterator[bytes]:
        """Its messages as they come, packed, until it has ended and all is said; `Gone` at last."""
        with contextlib.suppress(OSError):  # it was killed, as will be said
            messages.send(self._to, order)
        yield from messages.received(self._from)
        self._process.wait()
        yield messages.packed(messages.Gone(self._end()))
        self._close()

    def stop(self) -> None:
        """Ask it to write a checkpoint and to end."""
        with contextlib.suppress(OSError, ValueError):  # it has ended
            messages.send(self._to, b"stop")

    def kill(self) -> None:
        """End it, and wait until it has ended."""
        self._process.kill()
        self._process.wait()

    def _end(self) -> str:
        code = self._process.returncode
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        return f"its process ended with exit code {code}" + (f": {lines[-1][:LONGEST]}" if lines else "")

    def _close(self) -> None:
        for stream in (self._to, self._from, self._said):
            with contextlib.suppress(OSError):
                stream.close()
