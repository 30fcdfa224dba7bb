"""One run on several processes: those that torchrun started, on one machine or several, or workers started here.

A worker is the same command in another process. Rank 0 reads, writes and speaks; the others do as it says, and end
without a word where it does.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

import mamlzoo
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.engine import torchrun
from mamlzoo.engine.division import check_enough
from mamlzoo.engine.workers import ALONE, LostWorkerError, Workers, group
from mamlzoo.errors import MamlzooError, UsageError, in_short
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.seed_axis import division_of
from mamlzoo.runs import following
from mamlzoo.runs.config import config_of
from mamlzoo.runs.digests import digest, experiment_digest
from mamlzoo.runs.recording_policy import StoppedError

PLACE = "MAMLZOO_WORKERS"
"""The variable that tells a worker started here in which folder the others are met."""
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
PATIENCE = 10.0
"""Seconds that a worker has to end by itself, before it is said what became of it."""


class FollowedError(MamlzooError):
    """This process followed another one, which says how the run ended; so this one says nothing."""

    exit_code = 75  # of sysexits.h: no fault of its own, and it may be tried again


class _Standing(NamedTuple):
    """What a worker is about to do, as it says to the others.

    Attributes:
        host: where it runs.
        versions: of what computes.
        experiment: its digest; empty where there is none.
        data: the digest of what its plugins read.
        error: why there is none.
    """

    host: str
    versions: dict[str, str]
    experiment: str = ""
    data: str = ""
    error: str = ""


def number_of(count: int) -> int:
    """How many workers there are, or are to be started.

    Args:
        count: asked for.

    Raises:
        UsageError: torchrun has started others.
    """
    there = torchrun.count()
    if count > 1 and there not in (1, count):
        raise UsageError(f"torchrun has started {there} workers, and --workers asks for {count}; leave it out")
    return max(count, there)


@contextmanager
def together(count: int, make: Callable[[], Experiment]) -> Iterator[Workers]:
    """The workers of a run, of which this process is one; each of the others is its command, run once more.

    Args:
        count: how many to start here, this one among them, where torchrun has not.
        make: the experiment, untried: what cannot be divided is said before anybody is started.

    Raises:
        UsageError: torchrun has started others than are asked for, or there is too little to do.
        LostWorkerError: one of them ended, and how.
        FollowedError: this is not the first of them; what happened, the first one says.
    """
    count = number_of(count)
    if torchrun.count() > 1:
        with _following(), _met(os.environ.get(PLACE), count, torchrun.rank()) as workers:
            yield workers
    elif count == 1:
        yield ALONE
    else:
        settings = make().settings
        check_enough(count, len(settings.seeds), settings.meta_batch)
        with _started(count) as workers:
            yield workers


@contextmanager
def _following() -> Iterator[None]:
    """A worker that is not the first ends as that does, without a word of its own."""
    try:
        yield
    except (LostWorkerError, StoppedError) as error:
        if torchrun.rank() == 0:
            raise
        raise FollowedError from error


@contextmanager
def _met(place: str | None, count: int, own: int) -> Iterator[Workers]:
    if place is None:
        with group() as workers:
            yield workers
        return
    if own > 0:
        try:
            parent = int((Path(place) / "parent").read_text())
            (Path(place) / f"ready-{own}").touch()
        except OSError as error:
            raise LostWorkerError("the first worker of this run is gone") from error
        threading.Thread(target=_end_with_parent, args=(parent, place), daemon=True).start()
    with group(f"file://{place}/store", count, own) as workers:
        yield workers


def _end_with_parent(parent: int, place: str) -> None:
    """Wait for the first worker to be killed, at whatever this process is then; what that left behind is removed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    shutil.rmtree(place, ignore_errors=True)
    os._exit(1)


@contextmanager
def _started(count: int) -> Iterator[Workers]:
    """This process and others like it, on this machine."""
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="mamlzoo-workers-"))
        (Path(place) / "parent").write_text(str(os.getpid()))
        environment = {PLACE: place, "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
        if sys.platform in LOOPBACK:
            environment["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]
        others = [stack.enter_context(_Other.started(at, count, environment, Path(place))) for at in range(1, count)]
        stack.enter_context(_in_environment(environment | {"RANK": "0", "LOCAL_RANK": "0"}))
        for other in others:
            other.wait_until_ready()
        try:
            with _met(place, count, 0) as workers:
                yield workers
        except LostWorkerError as error:
            raise LostWorkerError(_what_became_of(others) or error.what, remedy=error.remedy) from error
        for other in others:
            other.end_by_itself()


class _Other:
    """A worker that was started here."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, place: Path, said: Path) -> None:
        self.process, self._name, self._ready, self._said = process, name, place, said

    @classmethod
    @contextmanager
    def started(cls, at: int, count: int, environment: dict[str, str], place: Path) -> Iterator[_Other]:
        said = place / f"said-{at}"
        with said.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env=os.environ | environment | {"RANK": str(at), "LOCAL_RANK": str(at)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,  # Ctrl-C is for the first of them, which tells the others
            )
        try:
            yield cls(
                process, f"worker {at} of {count} (rank {at}, process {process.pid})", place / f"ready-{at}", said
            )
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def wait_until_ready(self) -> None:
        while not self._ready.exists():
            if self.process.poll() is not None:
                raise LostWorkerError(self.end or f"{self._name} ended before it began")
            time.sleep(0.02)

    def end_by_itself(self) -> None:
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return

    @property
    def end(self) -> str:
        """How it ended by a fault of its own; empty where it did not."""
        code = self.process.poll()
        if code in (None, 0, FollowedError.exit_code):
            return ""
        if code < 0:
            return f"{self._name} was ended by {signal.Signals(-code).name}"
        said = self._said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return said[-1].removeprefix("Error: ") if said else f"{self._name} ended with exit code {code}"


def _what_became_of(others: Sequence[_Other]) -> str:
    """Of the workers the first that ended by a fault of its own, which may take a moment."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for other in others:
            if other.end:
                return other.end
        if all(other.process.poll() is not None for other in others):
            break
        time.sleep(0.05)
    return ""


@contextmanager
def _in_environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def agreed(make: Callable[[], Experiment], workers: Workers) -> Experiment:
    """The experiment that all workers are about to run.

    Raises:
        UsageError: one of them is about to run another one, by other versions or on other data; or there is too little
            to do for so many.
        FollowedError: this is not the first of them, which says so.
        MamlzooError: what `make` raises.
    """
    if workers.count == 1:
        return make()
    own, experiment, error = _standing(make, workers)
    all_of_them = workers.gathered(own)
    wrong = _difference(all_of_them)
    if wrong or error:
        if workers.rank == 0 and error is not None:
            raise error
        if workers.rank == 0:
            raise UsageError(wrong)
        raise FollowedError
    assert experiment is not None
    return experiment


def _standing(
    make: Callable[[], Experiment], workers: Workers
) -> tuple[_Standing, Experiment | None, MamlzooError | None]:
    own = _Standing(platform.node(), {"mamlzoo": mamlzoo.__version__, "torch": torch.__version__})
    try:
        experiment = make()
        division_of(experiment, workers)
        config = config_of(experiment)
    except MamlzooError as error:
        return own._replace(error=in_short(error).partition(": ")[2] or str(error)), None, error
    data = digest([config[kind].get("data") for kind in KINDS])
    return own._replace(experiment=experiment_digest(config), data=data), experiment, None


def _difference(each: Sequence[_Standing]) -> str:
    """What one of the workers is about to do otherwise than the first; empty where all do the same."""
    first = each[0]
    for at, other in enumerate(each):
        who = f"worker {at} of {len(each)} (on {other.host})"
        for name, version in other.versions.items():
            if version != first.versions[name]:
                return f"{who} has {name} {version}, and worker 0 (on {first.host}) has {first.versions[name]}"
        if other.error and not first.error:
            return f"{who}: {other.error}"
        if other.experiment != first.experiment and not first.error:
            return f"{who} was given another experiment than worker 0 (on {first.host}): other options or other code"
        if other.data != first.data and not first.error:
            return f"{who} has other data than worker 0 (on {first.host})"
    return ""


def follow(experiment: Experiment, workers: Workers) -> None:
    """Make a run together with the first worker, which records it, and stops it where it is to stop.

    Raises:
        FollowedError: it did not end well.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    following.follow(experiment, config_of(experiment), workers)
