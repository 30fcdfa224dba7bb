"""Make jobs by an executor: which begins when, which is tried again, and how all of them stop."""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mamlzoo import files
from mamlzoo.discovery import packed_code, serialisation
from mamlzoo.engine.plan_choice import Notice
from mamlzoo.errors import MamlzooError
from mamlzoo.executors import messages, run_files
from mamlzoo.executors.executor import Executor, Job, Pool, Started
from mamlzoo.executors.messages import Done, Failed, Gone, Heard, Message, Order, OrderedRun, Said, Stopped, Written
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import recording
from mamlzoo.runs.commands import resume_command
from mamlzoo.runs.recording_policy import LoggerError, RecordingPolicy, StoppedError
from mamlzoo.tables import count

MOMENT = 0.1
"""Seconds after which it is asked again whether to stop, while nothing is heard."""
Ended = Callable[[Path, MamlzooError | None], None]
"""Is told of a run's directory when it is finished, or why it failed."""


def make(executor: Executor | None, jobs: Sequence[Job], policy: RecordingPolicy, ended: Ended) -> None:
    """Make jobs, several at a time. What is not made is left as it is: by no executor nothing is made.

    A job that failed is tried once more; runs that failed side by side, each alone. What came from Python cannot be
    made in another process.

    Args:
        ended: called for each run as soon as it is over.

    Raises:
        StoppedError: they were asked to stop; all can be gone on with.
        LoggerError: a logger that was asked for cannot log.
        UsageError: there is nowhere to make them.
        DiskError: the disk refused.
    """
    if executor is None:
        return
    travelling = [job for job in jobs if all(_travels(experiment) for experiment, _ in job.runs)]
    left = sum(len(job.runs) for job in jobs) - sum(len(job.runs) for job in travelling)
    if left:
        noun = count(left, jobs[0].part.noun)
        policy.says(f"{noun} of plugins that came from Python: no other process has their code, so made in this one")
    if not travelling:
        return
    recording.remember_code([experiment for job in travelling for experiment, _ in job.runs], policy)
    with executor.opened(travelling) as pool, _shown(travelling, policy):
        _Making(pool, travelling, policy, ended).run()


def failed(executor: Executor | None, jobs: Sequence[Job], policy: RecordingPolicy) -> dict[Path, MamlzooError]:
    """Make jobs, as `make`; by directory, why runs failed."""
    found: dict[Path, MamlzooError] = {}

    def ended(directory: Path, error: MamlzooError | None) -> None:
        if error is not None:
            found[directory] = error

    make(executor, jobs, policy, ended)
    return found


def _travels(experiment: Experiment) -> bool:
    return all(map(serialisation.leads_back, experiment.plugins))


@contextmanager
def _shown(jobs: Sequence[Job], policy: RecordingPolicy) -> Iterator[None]:
    policy.spreads([job.part for job in jobs])
    try:
        yield
    finally:
        policy.spreads([])


@dataclass
class _Running:
    """A job that a process makes.

    Attributes:
        tried: how often it failed before.
        held: the locks of directories that are written here.
        outcome: what the process said last.
        can_stop: whether there is anything to be written before it ends.
    """

    job: Job
    tried: int
    slot: int
    held: contextlib.ExitStack
    started: Started | None = None
    outcome: Done | Stopped | Failed | None = None
    can_stop: bool = False


@dataclass
class _Making:
    """Jobs as they are made."""

    pool: Pool
    jobs: Sequence[Job]
    policy: RecordingPolicy
    ended: Ended
    running: dict[int, _Running] = field(default_factory=dict)
    heard: queue.SimpleQueue[tuple[int, Message]] = field(default_factory=queue.SimpleQueue)
    is_stopping: bool = False

    def __post_init__(self) -> None:
        self.waiting = deque((job, 0) for job in self.jobs)
        self.free = list(range(self.pool.slots))
        self.number = 0

    def run(self) -> None:
        try:
            while self.waiting or self.running:
                if self.policy.stop() and not self.is_stopping:
                    self._stop()
                if self.is_stopping and not self.running:
                    raise StoppedError(resume_command(self.jobs[0].runs[0][1].parent))
                while self.waiting and self.free and not self.is_stopping:
                    self._begin(*self.waiting.popleft())
                if self.running:
                    self._hear()
        finally:  # of a process nothing is left, whatever happened here
            for running in self.running.values():
                with running.held:
                    if running.started is not None:
                        running.started.kill()

    def _begin(self, job: Job, tried: int) -> None:
        """Start a process for a job; what cannot work is said here."""
        held = contextlib.ExitStack()
        self.policy.begins(job.part)
        try:
            order = self._order(job, held)
        except MamlzooError as error:
            held.close()
            self._failed(job, error)
            return
        self.number += 1
        own, running = self.number, _Running(job, tried, self.free.pop(0), held)
        self.running[own] = running
        running.started = self.pool.start(
            messages.packed(order), running.slot, lambda message: self.heard.put((own, message))
        )

    def _order(self, job: Job, held: contextlib.ExitStack) -> Order:
        runs, code = list[OrderedRun](), dict[str, packed_code.PackedCode]()
        for experiment, directory in job.runs:
            if not run_directory.is_run(directory):
                recording.begin(experiment, directory, self.pool.threads)
            content = None
            if self.pool.is_elsewhere:
                held.enter_context(files.locked(directory))  # written here, as its files come
                content = run_files.read(directory)
            sources = {plugin.kind: serialisation.source_of(plugin) for plugin in experiment.plugins}
            places = {kind: source.reference for kind, source in sources.items() if source is not None}
            runs.append(OrderedRun(str(directory), places, content))
            for source in sources.values():
                if source is not None and self.pool.is_elsewhere and (own := packed_code.packed(source)) is not None:
                    code[source.reference] = own
        return Order(runs, code, self.policy.every, self.policy.loggers, self.policy.draw)

    def _hear(self) -> None:
        try:
            number, message = self.heard.get(timeout=MOMENT)
        except queue.Empty:
            return
        running = self.running[number]
        runs = running.job.runs
        match message:
            case Heard(run, event):
                running.can_stop = not isinstance(event, Notice)
                if running.can_stop:  # a notice would say of all of them that there is nothing to be written
                    self.policy.progress(runs[run][0], event)
                elif self.is_stopping:
                    self._kill(running)
            case Said(text):
                self.policy.says(f"{running.job.part.name}: {text}")
            case Written(run, new):
                run_files.keep(runs[run][1], new)
            case Gone(how):
                del self.running[number]
                self.free.append(running.slot)
                running.held.close()
                self._gone(running, how)
            case _:
                running.outcome = message

    def _gone(self, running: _Running, how: str) -> None:
        """A process has ended: what it made is there, or is tried once more."""
        job = running.job
        if isinstance(running.outcome, Done):
            self.policy.ends(job.part)
            for _, directory in job.runs:
                self.ended(directory, None)
            return
        if self.is_stopping:
            return
        error, again = MamlzooError(f"{job.part.name}: {how}"), [job]
        if isinstance(running.outcome, Failed):
            error = running.outcome.kind(running.outcome.text)
            if isinstance(error, LoggerError):
                raise error
            if len(job.runs) > 1:  # of one of them, as it may be, which fails again alone
                again = [_alone(job, at) for at in range(len(job.runs))]
        if running.tried:
            if not isinstance(running.outcome, Failed):
                error.remedy = f"this happened twice; `{resume_command(job.runs[0][1])}` goes on with it"
            self._failed(job, error)
            return
        self.policy.says(f"{job.part.name}: {how if running.outcome is None else error}; tried once more")
        self.waiting.extend((one, 1) for one in again)

    def _failed(self, job: Job, error: MamlzooError) -> None:
        self.policy.ends(job.part)
        for _, directory in job.runs:
            self.ended(directory, error)

    def _stop(self) -> None:
        self.is_stopping = True
        for running in self.running.values():
            if running.can_stop and running.started is not None:
                running.started.stop()
            else:
                self._kill(running)

    def _kill(self, running: _Running) -> None:
        if running.started is not None:
            running.started.kill()


def _alone(job: Job, at: int) -> Job:
    """One of the runs of a job."""
    return Job(job.part._replace(left=[job.runs[at][0]], at_once=1), [job.runs[at]])
