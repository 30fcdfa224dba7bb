"""`mamlzoo sweep` as a person, and as a program, meets it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from conftest import interrupted

from mamlzoo.cli import main

pytestmark = pytest.mark.usefixtures("no_figures")
QUICK = [
    "--iterations",
    "2",
    "--meta-batch",
    "2",
    "--valid-tasks",
    "3",
    "--test-tasks",
    "4",
    "--test-steps",
    "1",
    "--plan",
    "loop",
]
RATES = ["--algorithm.inner-lr", "0.01,0.05"]


SWEEP = ["sweep", *RATES, *QUICK, "--seeds", "2", "--out", "all"]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """What a sweep printed, and where it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("first"))
        return SimpleNamespace(result=CliRunner().invoke(main, SWEEP), directory=Path("all").absolute())


@pytest.fixture
def there(first, cli):
    """The directory of that sweep in the folder of this test."""
    shutil.copytree(first.directory, "all")


def test_sweep_shows_every_cell_says_which_is_best_and_where_it_is(first):
    shown, said = first.result.stdout, first.result.stderr
    assert re.search(r"inner_lr +valid mse +test mse +diverged +seconds", shown)
    assert len(re.findall(r"^ (?:best)? +0\.0[15] .* ± .* 0 of 2 +[\d.]+ s", shown, re.M)) == 2
    verdict = r"best by validation: inner_lr=(\S+) \(all/inner_lr=\1\); the figure to report is its test mse, "
    assert (first.directory / f"inner_lr={re.search(verdict, shown)[1]}" / "result.json").exists()
    line = r"cell \d of 2: inner_lr=\S+: valid mse \S+ ± \S+, test mse \S+ ± \S+\n"
    assert re.fullmatch(rf"({line}){{2}}saved: all\n", said)


def test_the_same_command_again_shows_the_same_and_runs_nothing(cli, first, there):
    again = cli(*SWEEP)
    assert again.stdout == first.result.stdout
    assert again.stderr == "saved: all\n"


def test_json_is_one_document_and_quiet_says_nothing(cli, there):
    result = cli(*SWEEP, "--json", "--quiet")
    document = json.loads(result.stdout)
    assert document.pop("run_dir") == "all"
    assert {"format": 1} | document == json.loads(Path("all/sweep.json").read_text())
    assert result.stderr == ""


def test_a_failed_cell_is_shown_and_ends_with_exit_code_1(cli):
    result = cli("sweep", "-a", "maml", "-a", "protonet", *QUICK, "--out", "all", code=1)
    line = "algorithm=protonet: failed: algorithm 'protonet' classifies by class means"
    assert line in result.stdout
    assert f"cell 2 of 2: {line}" in result.stderr
    assert re.search(r"^ +protonet +failed", result.stdout, re.M)


def test_help_says_which_flags_take_several_values(cli):
    shown = cli("sweep", "--help").stdout
    assert "--algorithm.inner-lr FLOAT[,...]" in shown
    assert "--model.hidden INT,...[;...]" in shown
    assert re.search(r"--test-tasks INT\s", shown)


ERRORS = {
    "nothing swept": (["--outer-lr", "0.1"], "nothing has several values; name some, as in --meta-batch 4,25, or use `mamlzoo run`"),
    "no range": (["--meta-batch", "5:1:1"], "Invalid value for '--meta-batch': '5:1:1' is no range: steps of 1 do not lead"),
    "out of bounds": ([*RATES, "--task.shots", "0,5"], "Invalid value for '--task.shots': must be at least 1, not 0"),
    "a fixed setting": ([*RATES, "--test-tasks", "5,10"], "Invalid value for '--test-tasks': '5,10' is not a whole number"),
    "too many cells": (["--meta-batch", "1:200:1", "--iterations", "1:100:1"], "20,000 cells; a sweep has at most 10,000"),
    "no cell can work": (["--optimizer", "adamm,sdg"], "none of the 2 cells can work: torch.optim has no optimizer 'adamm'"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "line"), ERRORS.values(), ids=ERRORS)
def test_bad_input_is_one_clear_line_and_leaves_nothing_behind(cli, arguments, line):
    assert cli.error("sweep", *arguments).startswith(line)
    assert list(Path.cwd().iterdir()) == []


def test_resume_shows_a_finished_sweep_again_and_goes_on_with_one_that_is_not(cli, there, first):
    before = {path: path.stat().st_mtime_ns for path in Path("all").rglob("*")}
    assert cli("resume", "all", "-q").stdout == first.result.stdout
    assert {path: path.stat().st_mtime_ns for path in Path("all").rglob("*")} == before
    shutil.rmtree(Path("all") / json.loads(Path("all/sweep.json").read_text())["cells"][0]["run"])
    again = cli("resume", "all", "-q").stdout
    assert re.sub(r"[\d.]+ s", "", again) == re.sub(r"[\d.]+ s", "", first.result.stdout)


def test_what_is_stopped_before_anything_is_there_says_what_begins_it_anew(cli, monkeypatch):
    def stop(experiment):
        raise KeyboardInterrupt

    monkeypatch.setattr("mamlzoo.sweeps.directory.rehearse", stop)
    assert cli(*SWEEP, code=130).stderr.splitlines()[-1] == "stopped; to go on: the same command again"
    assert not Path("all").exists()


@pytest.mark.slow
def test_sigint_saves_and_the_same_command_goes_on(tmp_path):
    command = [
        sys.executable, "-m", "mamlzoo", "sweep", "--outer-lr", "0.001,0.002", "--iterations", "1000", "--plan", "vmap",
        "--meta-batch", "2", "--test-tasks", "5", "--checkpoint-every", "1h", "--out", "all",
    ]  # fmt: skip
    begun = tmp_path / "all" / "outer_lr=0.001" / "metrics.jsonl"
    assert interrupted(command, tmp_path, begun) == (130, "stopped; to go on: mamlzoo resume all")
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    document = json.loads((tmp_path / "all" / "sweep.json").read_text())
    assert [cell["state"] for cell in document["cells"]] == ["finished", "finished"]
