"""MLflow: a run of its own for each run, with options, scalars, the test's table and figures.

It goes where MLFLOW_TRACKING_URI says, into the experiment that MLFLOW_EXPERIMENT_NAME says or 'mamlzoo'; where none is
said, into a database in the run directory. A run that goes on goes on there too: the file mlflow-run has its id.
"""

from __future__ import annotations

import json
import logging
import os
import re
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mamlzoo
from mamlzoo_loggers import scalars

if TYPE_CHECKING:
    from mlflow import MlflowClient

STORE, ARTIFACTS, RUN = "mlflow.db", "mlflow-artifacts", "mlflow-run"
"""In the run directory: the database and the files where no other place is said, and the id of MLflow's run."""
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""By its own defaults MLflow would ask a server that is gone for many minutes, in which no meta-step is made."""
UNKNOWN = re.compile(r"[^\w\-. :/]", re.ASCII)
"""What no name may hold there."""
LONGEST = 500
"""Letters of an option's value that every MLflow takes."""


@dataclass
class _Log:
    """Where one run is logged to.

    Attributes:
        known: the last meta-step that is there already, from before the run went on.
        waiting: scalars that are not sent yet.
    """

    client: MlflowClient
    run: str
    known: int
    waiting: list[tuple[scalars.Scalar, int]] = field(default_factory=list)

    def add(self, found: list[scalars.Scalar]) -> None:
        now = int(time.time() * 1000)
        self.waiting += [(scalar, now) for scalar in found]

    def send(self) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(_name(scalar.series), scalar.value, now, scalar.step) for scalar, now in self.waiting]
        self.waiting.clear()
        if metrics:
            self.client.log_batch(self.run, metrics=metrics)


_logs: dict[Path, _Log] = {}


@mamlzoo.hookimpl
def mamlzoo_run_started(experiment: mamlzoo.Experiment, directory: Path, step: int) -> None:
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        with _quiet():
            import mlflow
    except ImportError as error:
        raise mamlzoo.UsageError(
            "logger 'mlflow' needs MLflow, which is not installed: pip install 'mamlzoo[mlflow]'"
        ) from error
    own = f"sqlite:///{directory.resolve() / STORE}"
    place = os.environ.get("MLFLOW_TRACKING_URI") or own
    try:
        with _quiet():
            client = mlflow.MlflowClient(place)
            artifacts = (directory.resolve() / ARTIFACTS).as_uri() if place == own else None
            _logs[directory] = _opened(client, experiment, directory, step, artifacts)
    except Exception as error:  # each store has its own errors
        said = textwrap.shorten(str(error) or type(error).__name__, 200, placeholder=" …")
        raise mamlzoo.UsageError(
            f"logger 'mlflow' cannot log to {place}: {said}; set MLFLOW_TRACKING_URI to a server that answers or a "
            "database, as sqlite:///mlflow.db, or unset it to log into the run directory"
        ) from error


@mamlzoo.hookimpl
def mamlzoo_run_progressed(experiment: mamlzoo.Experiment, directory: Path, event: object) -> None:
    log = _logs[directory]
    log.add([scalar for scalar in scalars.of_event(experiment, event) if scalar.step > log.known])
    if isinstance(event, mamlzoo.Checkpoint):  # a few times a second, and no request for each record
        log.send()


@mamlzoo.hookimpl
def mamlzoo_run_ended(directory: Path, result: mamlzoo.Result | None) -> None:
    log = _logs.pop(directory)
    if result is not None:
        log.add(scalars.of_result(result))
    log.send()
    if result is not None:
        columns, rows = scalars.test_table(result)
        log.client.log_text(log.run, scalars.as_csv([columns, *rows]), "test.csv")
        log.client.log_text(log.run, str(result.table()), "test.txt")
        for path in [directory / "result.json", *scalars.figures(directory)]:
            log.client.log_artifact(log.run, str(path))
    log.client.set_terminated(log.run, "FAILED" if result is None else "FINISHED")


def _opened(
    client: MlflowClient, experiment: mamlzoo.Experiment, directory: Path, step: int, artifacts: str | None
) -> _Log:
    """A new run of MLflow's, or the one that goes on."""
    noted = directory / RUN
    if step and noted.is_file():
        run = noted.read_text(encoding="utf-8").strip()
        client.update_run(run, status="RUNNING")
        names = [name for name in client.get_run(run).data.metrics if scalars.TESTED not in name]
        steps = [metric.step for name in names for metric in client.get_metric_history(run, name)]
        return _Log(client, run, max(steps, default=0))
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "mamlzoo"
    tags = {"mlflow.runName": directory.name, "mamlzoo.run": experiment.name}
    run = client.create_run(_experiment(client, name, artifacts), tags=tags).info.run_id
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    from mlflow.entities import Param

    client.log_batch(run, params=[Param(_name(key), value[:LONGEST]) for key, value in _options(config)])
    noted.write_text(f"{run}\n", encoding="utf-8")
    return _Log(client, run, 0)


def _experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of MLflow's experiment, made where there is none."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifacts))
        except MlflowException:  # another process made it meanwhile
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _options(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names, options and settings, each as one word beside its value: 'task.shots', 'meta_batch'."""
    for kind in ("task", "model", "algorithm"):
        yield kind, str(config[kind]["name"])
        for name, value in config[kind]["options"].items():
            yield f"{kind}.{name}", json.dumps(value, ensure_ascii=False)
    for name, value in config["settings"].items():
        yield name, json.dumps(value, ensure_ascii=False)


def _name(text: str) -> str:
    return UNKNOWN.sub("_", text)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without its lines of how a database is made."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
