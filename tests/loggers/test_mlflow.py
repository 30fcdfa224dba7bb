"""What MLflow was told, as its own client reads it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mamlzoo import UsageError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what it uses
REASON = "needs the extra mamlzoo[mlflow]"


@pytest.fixture(autouse=True)
def _mlflow(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "1")


@pytest.fixture
def mlflow():
    return pytest.importorskip("mlflow", reason=REASON)


def told(mlflow, uri):
    """A client, and the one run there is."""
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([found.experiment_id for found in client.search_experiments()])
    return client, run


def histories(client, run):
    return {
        name: [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }


def test_its_client_reads_what_metrics_and_result_say(tmp_path, logged, shown, mlflow):
    result = logged("mlflow")
    client, run = told(mlflow, f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    assert {name: dict(found) for name, found in histories(client, run).items()} == shown(result)
    assert run.info.status == "FINISHED"
    assert {key: run.data.params[key] for key in ("task", "task.shots", "algorithm", "meta_batch")} == {
        "task": "sine",
        "task.shots": "10",
        "algorithm": "reptile",
        "meta_batch": "2",
    }


def test_table_figures_and_result_are_artifacts(tmp_path, logged, curves, mlflow):
    result = logged("mlflow", curves)
    client, run = told(mlflow, f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    id = run.info.run_id
    assert {file.path for file in client.list_artifacts(id)} == {"curves.png", "result.json", "test.csv", "test.txt"}
    for name in ("curves.png", "result.json"):
        kept = Path(client.download_artifacts(id, name, tmp_path))
        assert kept.read_bytes() == (tmp_path / "run" / name).read_bytes()
    assert Path(client.download_artifacts(id, "test.txt", tmp_path)).read_text() == str(result.table())


def test_a_run_that_goes_on_goes_on_there_with_each_number_once(tmp_path, interrupted, shown, mlflow):
    result = interrupted("mlflow")
    client, run = told(mlflow, f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    found = histories(client, run)
    assert {name: dict(steps) for name, steps in found.items()} == shown(result)
    assert all(len(steps) == len(dict(steps)) for steps in found.values())


def test_a_run_without_a_result_is_failed_there(tmp_path, stopped, mlflow):
    stopped("mlflow")
    _, run = told(mlflow, f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    assert run.info.status == "FAILED"


def test_another_store_and_experiment_can_be_asked_for(tmp_path, logged, monkeypatch, mlflow):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///all.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "waves")
    logged("mlflow")
    client, run = told(mlflow, "sqlite:///all.db")
    assert client.get_experiment(run.info.experiment_id).name == "waves"
    assert not (tmp_path / "run" / "mlflow.db").exists()


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "bogus://x"])
def test_a_store_that_does_not_answer_is_one_line_and_nothing_is_left_behind(
    tmp_path, logged, monkeypatch, uri, mlflow
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UsageError, match=f"logger 'mlflow' cannot log to {uri}: .*; set MLFLOW_TRACKING_URI to"):
        logged("mlflow")
    assert list(tmp_path.iterdir()) == []


def test_without_its_extra_it_is_one_line(tmp_path, logged, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as if it were not installed
    with pytest.raises(UsageError, match=r"pip install 'mamlzoo\[mlflow\]'"):
        logged("mlflow")
    assert list(tmp_path.iterdir()) == []
