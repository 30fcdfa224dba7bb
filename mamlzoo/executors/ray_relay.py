"""What runs in a ray worker: it starts a process for a job beside itself, and passes on what is said."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from mamlzoo.executors.job_process import JobProcess, with_threads

CONFIG = "XDG_CONFIG_HOME"


class Relay:
    """Between whoever wants a job made and the process that makes it, which ends with this one."""

    def __init__(self) -> None:
        self._process: JobProcess | None = None

    def make(self, order: bytes, threads: int, working_directory: str) -> Iterator[bytes]:
        """Messages of the process, packed.

        Args:
            order: a packed `Order`.
            threads: that libraries may have.
            working_directory: of whoever wants it; taken where this machine has it too: data may be named from there.
        """
        with tempfile.TemporaryDirectory(prefix="mamlzoo-job-") as folder:
            here = Path(working_directory) if Path(working_directory).is_dir() else Path(folder)
            runs = Path(folder) / "runs"
            runs.mkdir()
            # Code that was sent is none that its user has run here: the list of what is trusted stays as it is.
            environment = with_threads(threads) | {CONFIG: str(Path(folder) / "config")}
            self._process = JobProcess(environment, runs, here)
            try:
                yield from self._process.made(order)
            finally:
                self._process.kill()

    def stop(self) -> None:
        """Ask the process to write a checkpoint and to end."""
        if self._process is not None:
            self._process.stop()
