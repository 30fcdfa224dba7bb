"""Runs that the built-in loggers are told of: whole ones, and one that is stopped and goes on."""

from __future__ import annotations

import pytest

from mamlzoo.figures import plots
from mamlzoo.runs import recording
from mamlzoo.runs.directory import undrawn
from mamlzoo.runs.name_resolution import experiments
from mamlzoo.runs.recording_policy import Interval, RecordingPolicy, StoppedError


def small(**changes):
    settings = {"iterations": 3, "meta_batch": 2, "test_tasks": 4, "test_steps": 1, "plan": "vmap", "seeds": 2}
    (found,) = experiments(["sine"], ["mlp"], ["reptile"], **settings | changes)
    return found


def curves_of(result):
    """Draws one figure."""
    return {"curves": lambda: plots.png(plots.curves([result]))}


@pytest.fixture
def logged(tmp_path):
    """Makes a run in `tmp_path / "run"` that a logger is told of."""

    def record(logger, draw=undrawn):
        policy = RecordingPolicy(loggers=[logger], draw=draw)
        return recording.record(small(validate_every=2, valid_tasks=2), tmp_path / "run", policy)

    return record


@pytest.fixture
def curves():
    return curves_of


@pytest.fixture(scope="module")
def logged_once(tmp_path_factory):
    """Makes a run that several tests only read; its directory is `run_dir`."""

    def record(logger):
        policy = RecordingPolicy(loggers=[logger], draw=curves_of)
        return recording.record(
            small(validate_every=2, valid_tasks=2), tmp_path_factory.mktemp("logged") / "run", policy
        )

    return record


@pytest.fixture
def interrupted(tmp_path):
    """Makes one that is killed behind its last checkpoint but one, and goes on from there."""

    def record(logger):
        steps = []

        def hear(_, event):
            steps.append(getattr(event, "losses", None) is not None)
            if sum(steps) == 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            recording.record(
                small(iterations=6), tmp_path / "run", RecordingPolicy(Interval(steps=3), hear, loggers=[logger])
            )
        return recording.resume(tmp_path / "run", RecordingPolicy(loggers=[logger]))

    return record


@pytest.fixture
def stopped(tmp_path):
    """Makes one that is stopped at its first checkpoint."""

    def record(logger):
        with pytest.raises(StoppedError):
            recording.record(small(), tmp_path / "run", RecordingPolicy(stop=lambda: True, loggers=[logger]))

    return record


def series(result):
    """What a logger is to show: by name, the value of each step."""
    found = {}
    for row, seed in enumerate(result.seeds):
        found[f"meta-loss/seed {seed}"] = {record.step: record.losses[row] for record in result.history}
        for log in result.history[0].logs:
            found[f"{log}/seed {seed}"] = {record.step: record.logs[log][row] for record in result.history}
        if result.validation:
            found[f"valid mse/seed {seed}"] = {record.step: record.values[row] for record in result.validation}
        found[f"test mse by adaptation step/seed {seed}"] = dict(enumerate(result.evaluation.per_seed[row]))
    return {name: {step: pytest.approx(float(value)) for step, value in steps.items()} for name, steps in found.items()}


@pytest.fixture
def shown():
    return series
