"""Jobs over a ray cluster: another's, or one on this machine for as long as it is needed."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from mamlzoo.engine.cpu import available_threads
from mamlzoo.errors import UsageError, in_short
from mamlzoo.executors import messages
from mamlzoo.executors.executor import Executor, Job, Pool, Started
from mamlzoo.executors.messages import Gone, Message
from mamlzoo.executors.needs import most_threads, wants_gpu
from mamlzoo.executors.ray_relay import Relay

ONE_MACHINE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # it listens to nobody else, as on Windows and macOS anyway
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),  # nor to another user of this machine
}
"""What ray is told of a cluster of this machine's."""
BEGINS = (
    "import sys; sys.path[:] = {path!r}; from mamlzoo.executors import ray_question; ray_question.main({address!r})"
)
"""What a process executes that finds out whether there is a cluster."""
PATIENCE = 25.0
"""Seconds that a cluster has to answer."""
DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # reports to nobody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # warns of no change to come
    "RAY_ENABLE_AUTO_CONNECT": "0",  # begins no cluster that nobody asked for, as when the one that was is over
}
"""What ray is told by the environment, unless that says otherwise."""
STORE = 256 * 2**20
"""Bytes of memory for what is on its way, in a cluster of this machine's; more goes by the disk."""


@final
class RayCluster(Executor):
    """A ray cluster."""

    def __init__(self, at_once: int | None = None, address: str | None = None) -> None:
        """Choose one.

        Args:
            at_once: jobs at a time; None: one for each GPU of the cluster where they want one, else for each core.
            address: where it is, as HOST:PORT, or 'auto' for one that runs on this machine; None: a new one, here.

        Raises:
            UsageError: ray is not installed, or nobody answers at the address.
        """
        try:
            if importlib.util.find_spec("ray") is None:
                raise ModuleNotFoundError
            for name, value in (DEFAULTS | ({} if address else ONE_MACHINE)).items():
                os.environ.setdefault(name, value)
            with _silence():
                self._ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise UsageError("executor 'ray' needs ray, which is not installed: pip install 'mamlzoo[ray]'") from error
        if address is not None and address != "auto" and not _is_place(address):
            raise UsageError(f"--address {address}: it must be HOST:PORT of a ray cluster, or auto")
        if address is not None:
            _check_answers(address)
        self._at_once, self._address = at_once, address

    @contextmanager
    def opened(self, jobs: Sequence[Job]) -> Iterator[Pool]:
        threads, gpu = most_threads(jobs) or 1, wants_gpu(jobs)
        runs = sum(len(job.runs) for job in jobs)
        with self._connected(threads, runs):
            there = self._ray.cluster_resources()
            found = there.get("GPU", 0) if gpu else there.get("CPU", 0) / threads
            slots = min(self._at_once or max(1, int(found)), runs)
            yield _Cluster(self._ray, slots, threads, gpu)

    @contextmanager
    def _connected(self, threads: int, runs: int) -> Iterator[None]:
        address = self._address
        if address is not None:
            how: dict[str, Any] = {"address": address}
        else:
            slots = min(self._at_once or max(1, available_threads() // threads), runs)
            how = {"address": "local", "num_cpus": slots * threads, "object_store_memory": STORE}
        try:
            with _own_signals(), _silence():
                self._ray.init(**how, include_dashboard=None if address else False, log_to_driver=False,
                               configure_logging=False)  # fmt: skip
        except (self._ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
            where = f"the ray cluster at {address}" if address else "a ray cluster on this machine"
            raise UsageError(f"{where} cannot be used: {in_short(error)}") from error
        try:
            yield
        finally:
            with _own_signals(), _silence():
                self._ray.shutdown()


@final
class _Cluster(Pool):
    """A cluster that this process is connected to."""

    is_elsewhere = True

    def __init__(self, ray: Any, slots: int, threads: int, gpu: bool) -> None:
        self.slots, self.threads, self._ray, self._gpu = slots, threads, ray, gpu

    def start(self, order: bytes, slot: int, tell: Callable[[Message], None]) -> Started:
        needs = {"num_cpus": self.threads, "num_gpus": 1 if self._gpu else 0}
        # One of its threads passes messages on, the other one hears of a wish to stop.
        actor = self._ray.remote(Relay).options(**needs, max_concurrency=2, max_restarts=0).remote()
        return _InWorker(self._ray, actor, order, self.threads, tell)


@final
class _InWorker(Started):
    """A ray worker, with a thread that hears what it says."""

    def __init__(self, ray: Any, actor: Any, order: bytes, threads: int, tell: Callable[[Message], None]) -> None:
        self._ray, self._actor = ray, actor
        said = actor.make.options(num_returns="streaming").remote(order, threads, str(Path.cwd()))
        self._thread = threading.Thread(target=self._listen, args=(said, tell), daemon=True)
        self._thread.start()

    def _listen(self, said: Any, tell: Callable[[Message], None]) -> None:
        gone = Gone("its ray worker ended without a word")
        try:
            for packed in said:
                message = messages.unpacked(self._ray.get(packed))
                if isinstance(message, Gone):
                    gone = message
                else:
                    tell(message)
        except self._ray.exceptions.RayError as error:
            gone = Gone(f"ray lost its worker ({type(error).__name__})")
        self._end()  # before it is said that all is over: then nobody is connected any more
        tell(gone)

    def stop(self) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._actor.stop.remote()

    def kill(self) -> None:
        self._end()
        self._thread.join()

    def _end(self) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError, ValueError):  # it has ended
            self._ray.kill(self._actor)


def _check_answers(address: str) -> None:
    """Ask in a process of its own: ray ends the one that asks where nobody answers, or waits for minutes.

    Raises:
        UsageError: no cluster answers, or it refuses.
    """
    where = "on this machine" if address == "auto" else f"at {address}"
    why, said = "", b""
    try:
        if address != "auto":  # what nobody listens at at all is known at once
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
        asking = [sys.executable, "-c", BEGINS.format(path=sys.path, address=address)]
        done = subprocess.run(asking, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
        if done.returncode == 0:
            return
        why, said = done.stdout.decode("utf-8", "replace").strip().partition("\n")[0], done.stderr
    except subprocess.TimeoutExpired as error:
        why, said = f"within {PATIENCE:.0f} s", error.stderr or b""
    except (OSError, OverflowError) as error:
        why = in_short(error)
    if b"InvalidAuthToken" in said:
        raise UsageError(
            f"the ray cluster {where} wants a token; with RAY_AUTH_MODE=token it is given that of Ray's own"
        )
    remedy = "`ray start --head` begins one, and says its address"
    raise UsageError(f"no ray cluster answers {where}{f' ({why})' if why else ''}", remedy=remedy)


def _is_place(address: str) -> bool:
    host, _, port = address.rpartition(":")
    return bool(host) and "/" not in host and port.isascii() and port.isdigit()


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing is said of what ray would have said of itself, but errors."""
    logger = logging.getLogger("ray")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


@contextmanager
def _own_signals() -> Iterator[None]:
    """What a signal does stays as it is: ray would end the process at once where it is asked to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
