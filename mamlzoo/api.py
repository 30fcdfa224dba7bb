"""What is done with mamlzoo from Python: run, compare, sweep, go on, load, save, draw, report, explore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from mamlzoo.comparisons import directory as comparison_directory
from mamlzoo.comparisons.comparison import Comparison
from mamlzoo.contracts.differentiation import differentiating
from mamlzoo.contracts.plugins import Plugin
from mamlzoo.engine.workers import ALONE, Workers
from mamlzoo.errors import UsageError
from mamlzoo.executors.choice import executor_of
from mamlzoo.executors.executor import Executor
from mamlzoo.experiments.events import Listener
from mamlzoo.experiments.result import Result
from mamlzoo.explorer import page as explorer_page
from mamlzoo.figures.figure_files import drawn, kinds_of
from mamlzoo.figures.plots import Figure
from mamlzoo.reports import page
from mamlzoo.reproductions import reproduction
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import execution, recording, trained
from mamlzoo.runs.name_resolution import AlgorithmLike, ModelLike, TaskLike, experiments, plugin, several
from mamlzoo.runs.recording_policy import Interval, RecordingPolicy
from mamlzoo.runs.watchers import watched
from mamlzoo.sweeps import directory as sweep_directory
from mamlzoo.sweeps.grid import grid_of
from mamlzoo.sweeps.sweep import Sweep

S = TypeVar("S", Result, Comparison)
Kind = Literal["curves", "training", "adaptation", "embedding"]


@differentiating
def run(
    task: TaskLike = "sine",
    model: ModelLike = "mlp",
    algorithm: AlgorithmLike = "maml",
    *,
    options: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 1,
    out: str | Path | None = None,
    checkpoint_every: str = "30s",
    progress: bool | Listener | None = None,
    **settings: Any,
) -> Result:
    """Train and test one combination.

    Args:
        task, model, algorithm: a plugin's name, its class, or an instance; a name may be one in a file, as
            "net.py:Net". The model also any `torch.nn.Module`, or a function that makes one, from a Spec or from
            nothing.
        options: of plugins given by name or class, as the flags spell them: {"task.shots": 5}.
        seeds: how many (0, 1, …), or which.
        out: a directory to record the run in as it goes, so that `resume` can go on with it; None: nothing is written.
        checkpoint_every: how often it is written down there: meta-steps, as "200", or time, as "30s".
        progress: True for a bar and a line with the plan, in a terminal or a notebook; or a function, called with the
            experiment and every event: records, checkpoints, the choice of a plan.
        **settings: fields of `Settings`: iterations, meta_batch, outer_lr, …

    Raises:
        UsageError: something was asked for that cannot be.

    >>> result = run("scalar", "neuron", "maml", iterations=1, options={"algorithm.inner_lr": 0.1}, meta_batch=2,
    ...              optimizer="sgd", outer_lr=0.5, meta_reduction="sum")
    >>> round(result.meta["network"]["weight"].item(), 2)
    -1515.48
    """
    (experiment,) = experiments([task], [model], [algorithm], options=options, seeds=seeds, **settings)
    if out is None:
        return execution.run(experiment, progress)
    with policy(checkpoint_every, progress) as how:
        return recording.record(experiment, Path(out), how)


@differentiating
def resume(
    directory: str | Path,
    *,
    task: TaskLike | None = None,
    model: ModelLike | None = None,
    algorithm: AlgorithmLike | None = None,
    executor: str = "local",
    jobs: int | None = None,
    address: str | None = None,
    progress: bool | Listener | None = None,
) -> Result | Comparison | Sweep:
    """Go on where the last checkpoint stands, to the bits of what was never stopped; what is finished is loaded.

    Args:
        directory: of a run, a comparison or a sweep. The recipe that began another goes on with it.
        task, model, algorithm: of a run: what came from Python when it began; its code is not in the directory.
        executor, jobs, address: of a comparison or a sweep, as for `compare`.
        progress: as for `run`.

    Raises:
        UsageError: it is no such directory, or what came from Python is not given.
        MamlzooError: another process is writing it, or it is damaged beyond what a checkpoint can mend.
    """
    place = Path(directory)
    likes = {"task": task, "model": model, "algorithm": algorithm}
    given = {kind: plugin(kind, like) for kind, like in likes.items() if like is not None}
    by = executor_of(executor, jobs, address)
    check_resumable(place, given, executor=by)
    with policy("30s", progress) as how:
        return resume_by(how, place, given, executor=by)


@differentiating
def compare(
    task: TaskLike | Sequence[TaskLike] = "sine",
    model: ModelLike | Sequence[ModelLike] = "mlp",
    algorithm: AlgorithmLike | Sequence[AlgorithmLike] = ("maml", "fomaml", "transfer", "scratch"),
    *,
    options: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 1,
    out: str | Path | None = None,
    checkpoint_every: str = "30s",
    executor: str = "local",
    jobs: int | None = None,
    address: str | None = None,
    progress: bool | Listener | None = None,
    **settings: Any,
) -> Comparison:
    """Train and test every combination of several tasks, models and algorithms; arguments as for `run`.

    A comparison that is recorded in a directory goes on there when `resume` is given it.

    Args:
        executor: 'local' makes the runs one after another; 'processes' several at a time in processes of this machine,
            'ray' over a ray cluster, both with `out` alone. What came from Python is made in this process.
        jobs: how many at a time; None: as many as there is room for.
        address: of the ray cluster; None: one of this machine's, for as long as it is needed.
    """
    by = executor_of(executor, jobs, address)
    if by is not None and out is None:
        raise UsageError(f"executor '{executor}' makes runs in directories: say where, by `out`")
    chosen = experiments(several(task), several(model), several(algorithm), options=options, seeds=seeds, **settings)
    if out is None:
        with watched(progress) as watcher:
            return comparison_directory.run(chosen, watcher)
    with policy(checkpoint_every, progress) as how:
        return comparison_directory.record(chosen, Path(out), how, executor=by)


@differentiating
def sweep(
    axes: Mapping[str, Iterable[Any] | str],
    *,
    out: str | Path,
    task: TaskLike | Sequence[TaskLike] = "sine",
    model: ModelLike | Sequence[ModelLike] = "mlp",
    algorithm: AlgorithmLike | Sequence[AlgorithmLike] = "maml",
    options: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 1,
    checkpoint_every: str = "30s",
    one_by_one: bool = False,
    executor: str = "local",
    jobs: int | None = None,
    address: str | None = None,
    progress: bool | Listener | None = None,
    **settings: Any,
) -> Sweep:
    """Train, validate and test every combination of several values.

    Args:
        axes: values by option or setting: {"algorithm.inner_lr": [0.001, 0.01], "meta_batch": [4, 25]}; text is read
            as the command line reads it: "log:1e-3:1e-1:3".
        out: a directory to record the cells in. Those that are finished there are not run again, and a stopped one is
            gone on with.
        task, model, algorithm: as for `run`; a list of several is an axis too, and an option goes to each that has it.
        one_by_one: run each cell alone. Cells that differ in numbers alone, as rates, are trained side by side
            otherwise, which is faster; they find the same but for rounding.
        executor, jobs, address: as for `compare`; cells that are trained side by side are one job.
        options, seeds, checkpoint_every, progress, **settings: as for `run`, the same for all cells.

    Raises:
        UsageError: something was asked for that cannot be, or no combination can work. One that fails alone is a
            failed cell.
    """
    chosen = {"task": several(task), "model": several(model), "algorithm": several(algorithm)}
    by = executor_of(executor, jobs, address)
    grid = grid_of(axes, chosen, options or {}, seeds, settings)
    with policy(checkpoint_every, progress) as how:
        return sweep_directory.record(grid, Path(out), how, one_by_one=one_by_one, executor=by)


def load(directory: str | Path) -> Result | Comparison | Sweep:
    """What was recorded in a directory: a run, a comparison or a sweep; or a packed run, or one of the zoo.

    Args:
        directory: of a finished run, a comparison all of whose runs are finished, or a sweep whose cells are. Or a file
            of `mamlzoo pack`, or a name that `mamlzoo zoo` lists; of a name that is also a path here the path is meant,
            and of "zoo:maml-sine" never.

    Raises:
        MamlzooError: it is nothing of the kind, not finished, or damaged; a line says what goes on with it.

    >>> load("zoo:maml-sine").name
    'sine × mlp × maml'
    """
    place = Path(directory)
    if reproduction.is_reproduction(place):
        raise UsageError(f"{place} is a recipe's directory; load the runs that are in it")
    if comparison_directory.is_comparison(place):
        return comparison_directory.load(place)
    return sweep_directory.load(place) if sweep_directory.is_sweep(place) else trained.result_of(directory)


def save(what: S, directory: str | Path) -> S:
    """Write a directory whole or not at all: of a run, or one with a run's directory for each result.

    Returns:
        the same, which knows where it is.

    Raises:
        UsageError: the directory exists and is not empty, or cannot be written.
    """
    _check_kind(what, Result, Comparison)
    place = Path(directory)
    if isinstance(what, Result):
        return run_directory.save(what, place, drawn)
    return comparison_directory.save(what, place, drawn)


def plot(what: Result | Comparison | Sweep, kind: Kind = "curves") -> Figure:
    """A figure of it.

    Args:
        kind: "curves" is the test metric by adaptation steps, and of a sweep the validation and the test metric by the
            values of one axis, or as heat maps over two. Of a result there are "training" too, the meta-loss by
            meta-steps; "adaptation", fits of one sample task; and "embedding", where the examples of one lie in the
            space in which the algorithm compares them.

    Raises:
        UsageError: it has no such figure, or nothing of it is finished.
    """
    _check_kind(what, Result, Comparison, Sweep)
    figures = kinds_of(what)
    if kind not in figures:
        raise UsageError(f"there is no plot '{kind}'; there are: {', '.join(figures)}")
    return figures[kind]()


def report(what: Result | Comparison | Sweep, path: str | Path) -> None:
    """Write one HTML page: tables, figures, configs, and the commands that make the runs again.

    Args:
        what: of a sweep, the page is of its finished cells.

    Raises:
        UsageError: another ending than .html, a place that cannot be written, or a sweep of which nothing is finished.
    """
    _check_kind(what, Result, Comparison, Sweep)
    if isinstance(what, Sweep):
        runs = [cell.run_dir for cell, _ in what.finished if cell.run_dir is not None]
        if not runs:
            raise UsageError("no cell of the sweep is finished, so there is nothing to report")
        what = Comparison([run_directory.load(run) for run in runs])
    page.write(Comparison([what]) if isinstance(what, Result) else what, Path(path))


def explore(
    what: Result | Comparison | Sequence[Result],
    path: str | Path,
    *,
    episode: int = 0,
    seed: int | None = None,
    steps: int = 20,
) -> None:
    """Write one HTML page on which trained θ adapt, live, to support points that a person drags.

    Of a task from one number to one number the inner loop runs in the browser; of images the page shows what changes
    in an episode when a support image is exchanged for another.

    Args:
        what: results of one task; up to six.
        episode: the test episode to begin with.
        seed: whose θ; None: of each result the first seed's that did not diverge.
        steps: at most so many adaptation steps can be chosen.

    Raises:
        UsageError: another ending than .html, a place that cannot be written, several tasks, one that no page can
            show, an algorithm that no page can carry, or a seed or an episode that is not there.
    """
    results = [what] if isinstance(what, Result) else list(what.results if isinstance(what, Comparison) else what)
    for result in results:
        _check_kind(result, Result)
    explorer_page.write(results, Path(path), episode=episode, seed=seed, steps=steps)


@contextmanager
def policy(checkpoint_every: str, progress: bool | Listener | None) -> Iterator[RecordingPolicy]:
    """How runs from Python are recorded, and who watches them meanwhile.

    Raises:
        UsageError: `checkpoint_every` is neither meta-steps nor a time, or `progress` is no watcher.
    """
    interval = Interval.parse(checkpoint_every)
    with watched(progress) as watcher:
        yield RecordingPolicy(
            interval,
            watcher,
            begins=watcher.begins,
            says=watcher.says,
            draw=drawn,
            spreads=watcher.spreads,
            ends=watcher.ends,
        )


def resume_by(
    how: RecordingPolicy,
    directory: Path,
    given: Mapping[str, Plugin],
    workers: Workers = ALONE,
    executor: Executor | None = None,
) -> Result | Comparison | Sweep:
    """Go on with what a directory holds, once `check_resumable` has nothing against it.

    Args:
        given: by kind, plugins of a run.
        workers: of a run.
        executor: of a comparison or a sweep.
    """
    if comparison_directory.is_comparison(directory):
        return comparison_directory.resume(directory, how, executor)
    if sweep_directory.is_sweep(directory):
        return sweep_directory.resume(directory, how, executor)
    return recording.resume(directory, how, given, workers)


def check_resumable(
    directory: Path, given: Mapping[str, Any], workers: int = 1, executor: Executor | None = None
) -> None:
    """Refuse what goes on by another command, with that command.

    Raises:
        UsageError: it is a recipe's directory, or a comparison's or a sweep's for which a plugin is given, or a run's
            for which an executor is.
    """
    if reproduction.is_reproduction(directory):
        again = reproduction.command_of(directory)
        raise UsageError(f"{directory} is a recipe's directory; `{again}` goes on with it")
    several = {"comparison": comparison_directory.is_comparison, "sweep": sweep_directory.is_sweep}
    whose = next((name for name, is_one in several.items() if given and is_one(directory)), None)
    if whose is not None:
        raise UsageError(
            f"{directory} is a {whose}'s directory; a task, a model or an algorithm is given for one run, as those "
            "below it; where a file has moved, `mamlzoo trust FILE.py:NAME` says where it is"
        )
    if workers > 1 and any(is_one(directory) for is_one in several.values()):
        raise UsageError(f"{directory} holds several runs; --workers divides one")
    if executor is not None and run_directory.is_run(directory):
        raise UsageError(f"{directory} holds one run; --executor makes several at a time, and --workers divides one")


def _check_kind(what: object, *kinds: type) -> None:
    if not isinstance(what, kinds):
        known = " or ".join(f"mamlzoo.{kind.__name__}" for kind in kinds)
        raise UsageError(f"what is given must be of type {known}, not {type(what).__name__}")
