"""`mamlzoo adapt` as a person, and as a program, meets it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from conftest import without_figures
from torch import nn

import mamlzoo

QUICK = {"iterations": 2, "meta_batch": 2, "test_tasks": 4, "test_steps": 2, "plan": "vmap"}
SUPPORT = "x,y\n-3,1\n0.5,-1\n2,0.5\n"
ADAPT = ["adapt", "runs/maml", "--support", "points.csv"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Run directories, made once."""
    runs, of_blobs = tmp_path_factory.mktemp("trained"), {"task": "blobs", "algorithm": "protonet"}
    with without_figures():
        mamlzoo.run(seeds=2, **QUICK).save(runs / "maml")
        mamlzoo.run(**of_blobs, options={"task.ways": 2, "task.dimensions": 2}, **QUICK).save(runs / "protonet")
        mamlzoo.run(**of_blobs, options={"task.dimensions": 2}, **QUICK).save(runs / "five")
        mamlzoo.run(model=lambda: torch.nn.Linear(1, 1), **QUICK).save(runs / "python")
    (runs / "unfinished").mkdir()
    shutil.copy(runs / "maml" / "config.json", runs / "unfinished")
    (runs / "both" / "maml").mkdir(parents=True)
    (runs / "both" / "comparison.json").write_text("{}")
    shutil.copy(runs / "maml" / "config.json", runs / "both" / "maml")
    return runs


@pytest.fixture
def cli(cli, trained):
    """The command line beside run directories and points."""
    Path("runs").symlink_to(trained)
    Path("points.csv").write_text(SUPPORT)
    Path("classes.csv").write_text("x1,x2,y\n0,0,0\n1,2,1\n")
    return cli


def test_it_prints_the_support_loss_by_step_and_says_where_it_is_saved(cli):
    shown = cli(*ADAPT, "--steps", "3")
    assert shown.stdout.startswith("sine × mlp × maml, adapted to 3 points\n")
    assert re.findall(r"^ (\d+) +[\d.]+ *$", shown.stdout, re.M) == ["0", "1", "2", "3"]
    assert shown.stderr == "saved: adapted-maml\n"
    assert {path.name for path in Path("adapted-maml").iterdir()} == {"predictions.csv", "predictions.json", "fit.png"}


def test_json_is_one_document_that_is_saved_too(cli):
    document = cli.json(*ADAPT, "--out", "here")
    assert document["directory"] == "here"
    assert document["run_dir"] == "runs/maml"
    assert json.loads(Path("here/predictions.json").read_text()) == document


def test_quiet_says_nothing_on_stderr(cli):
    assert cli(*ADAPT, "--quiet", "--export", "adapted.pt").stderr == ""


def test_adapting_again_makes_a_new_directory(cli):
    assert [cli(*ADAPT).stderr for _ in range(2)] == ["saved: adapted-maml\n", "saved: adapted-maml-2\n"]


def test_what_is_exported_goes_into_the_plain_network_and_predicts_the_same(cli):
    assert cli(*ADAPT, "--seed", "1", "--export", "adapted.pt").stderr.endswith("saved: adapted.pt\n")
    network = mamlzoo.make("model", "mlp").build(mamlzoo.Spec(input_shape=(1,), output_size=1))
    network.load_state_dict(torch.load("adapted.pt", weights_only=True), strict=True)
    document = json.loads(Path("adapted-maml/predictions.json").read_text())
    outputs = network(torch.tensor(document["query"]["x"]))
    torch.testing.assert_close(outputs, torch.tensor(document["outputs"]))


def test_an_export_that_would_predict_otherwise_is_refused_and_leaves_nothing(cli):
    Path("net.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))\n"
    )
    quick = ["--iterations", "2", "--test-tasks", "4", "--plan", "vmap"]
    cli("run", "-m", "net.py:net", *quick, "--out", "normed")
    line = cli.error("adapt", "normed", "--support", "points.csv", "--out", "here", "--export", "adapted.pt")
    assert line.startswith(
        "batch norm '1' predicts by running statistics in evaluation mode, and this run has none; run"
    )
    assert not Path("here").exists()
    assert not Path("adapted.pt").exists()
    shown = cli("adapt", "normed", "--support", "points.csv")
    assert "transductive: batch norm sees all query inputs at once" in shown.stdout
    Path("one.csv").write_text("x\n1\n")
    line = cli.error("adapt", "normed", "--support", "points.csv", "--query", "one.csv")
    assert line.startswith("network 'network' has a batch norm, which takes the statistics of the examples")


def test_by_the_statistics_of_the_support_set_one_point_is_predicted_and_the_network_exported(cli):
    Path("net.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))\n"
    )
    quick = ["--iterations", "2", "--test-tasks", "4", "--plan", "vmap", "--norm-statistics", "support"]
    cli("run", "-m", "net.py:net", *quick, "--out", "normed")
    Path("one.csv").write_text("x\n1\n")
    cli("adapt", "normed", "--support", "points.csv", "--query", "one.csv", "--out", "here", "--export", "adapted.pt")
    network = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).eval()
    network.load_state_dict(torch.load("adapted.pt"))
    (output,) = json.loads(Path("here/predictions.json").read_text())["outputs"]
    torch.testing.assert_close(network(torch.ones(1, 1))[0], torch.tensor(output), rtol=1e-5, atol=1e-6)


def test_a_query_file_says_where_to_predict(cli):
    Path("query.csv").write_text("x,y\n1,2\n-1,0\n")
    shown = cli(*ADAPT, "--query", "query.csv").stdout
    assert "predicted at 2 points of yours\n" in shown
    assert re.search(r"^query mse: [\d.]+ before adaptation, [\d.]+ after 10 steps$", shown, re.M)
    assert len(Path("adapted-maml/predictions.csv").read_text().splitlines()) == 3


def test_classes_without_support_points_have_no_share_and_spoil_nothing(cli):
    Path("two.csv").write_text("x1,x2,y\n0,0,0\n0,1,0\n4,4,2\n4,5,2\n")
    cli("adapt", "runs/five", "--support", "two.csv", "--out", "here")
    found = json.loads(Path("here/predictions.json").read_text())
    assert found["classes"] == [0, 0, 2, 2]
    for shares in found["probabilities"]:
        assert sum(shares) == pytest.approx(1)
        assert [shares[at] for at in (1, 3, 4)] == [0, 0, 0]
    assert "class 1 has no support point" in found["notes"]


ERRORS = {
    "no support": (["adapt", "runs/maml"], "Missing option '--support'."),
    "no file": ([*ADAPT[:3], "nowhere.csv"], "nowhere.csv cannot be read: No such file or directory"),
    "a directory for a file": (
        [*ADAPT[:3], "runs"],
        "runs is a folder, and a CSV file is wanted, whose first line names the columns",
    ),
    "no query file": ([*ADAPT, "--query", "nowhere.csv"], "nowhere.csv cannot be read: No such file or directory"),
    "no run": (["adapt", "runs/nowhere", *ADAPT[2:]], "runs/nowhere is no run directory: it has no config.json"),
    "an unfinished run": (
        ["adapt", "runs/unfinished", *ADAPT[2:]],
        "runs/unfinished is not finished; `mamlzoo resume runs/unfinished` goes on with it",
    ),
    "a comparison": (
        ["adapt", "runs/both", *ADAPT[2:]],
        "runs/both is a comparison's directory; choose one of its runs: runs/both/maml",
    ),
    "a network from Python": (
        ["adapt", "runs/python", *ADAPT[2:]],
        "model '<lambda>' came from Python and its code is not in the run directory; use it in the process that ran it",
    ),
    "points of another task": (
        ["adapt", "runs/protonet", *ADAPT[2:]],
        "points.csv, line 1: there is no column 'x1'; task 'blobs' takes the columns x1, x2, y",
    ),
    "a seed that was not trained": ([*ADAPT, "--seed", "7"], "seed 7 was not trained; there are: 0, 1"),
    "negative steps": ([*ADAPT, "--steps", "-1"], "Invalid value for '--steps': must be at least 0, not -1"),
    "no network to export": (
        ["adapt", "runs/protonet", "--support", "classes.csv", "--export", "adapted.pt"],
        "algorithm 'protonet' does not define `adapted`, so there is no adapted network",
    ),
    "no place to export to": (
        [*ADAPT, "--export", "no/where.pt"],
        "no/where.pt cannot be written: No such file or directory",
    ),
    "a file in the export's place": (
        [*ADAPT, "--export", "points.csv"],
        "points.csv exists; nothing is overwritten, choose another",
    ),
}


@pytest.mark.parametrize(("arguments", "line"), ERRORS.values(), ids=ERRORS)
def test_bad_input_is_one_clear_line_and_leaves_nothing_behind(cli, arguments, line):
    assert cli.error(*arguments) == line
    assert {path.name for path in Path.cwd().iterdir()} == {"runs", "points.csv", "classes.csv"}
    assert Path("points.csv").read_text() == SUPPORT


def test_nothing_is_overwritten(cli):
    Path("full").mkdir()
    Path("full/precious").write_text("x")
    line = cli.error(*ADAPT, "--out", "full")
    assert line == f"{Path('full').resolve()} exists and is no empty directory; nothing is overwritten, choose another"
    assert [path.name for path in Path("full").iterdir()] == ["precious"]
