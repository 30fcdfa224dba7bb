"""`mamlzoo report` as a person meets it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import without_figures

QUICK = ["-t", "blobs", "--iterations", "2", "--meta-batch", "2", "--test-tasks", "3", "--test-steps", "1", "--quiet"]


def test_runs_and_comparisons_become_one_page_each_run_once(cli):
    with without_figures():
        cli("compare", "-a", "protonet", "-a", "scratch", *QUICK, "--out", "both")
    assert cli("report", "both", "-o", "all.html").stderr == "saved: all.html\n"
    cli("report", "both/protonet", "both", "./both/../both/scratch", "-o", "again.html")
    assert Path("all.html").read_bytes() == Path("again.html").read_bytes()
    assert "blobs × mlp × protonet, scratch" in Path("all.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_sweeps_directory_stands_for_its_cells(cli):
    with without_figures():
        cli("sweep", "-a", "protonet", "--outer-lr", "0.01,0.02", "--valid-tasks", "3", *QUICK, "--out", "rates")
    cli("report", "rates", "-o", "rates.html")
    assert "outer_lr" in Path("rates.html").read_text(encoding="utf-8")


ERRORS = {
    "no run": (["no/where"], "no/where is no run directory: it has no config.json"),
    "nothing": (
        [],
        "RUNS is missing: give a run directory, a file of `mamlzoo pack`, or a name that `mamlzoo zoo` lists",
    ),
    "no page": (["nowhere", "-o", "page.pdf"], "page.pdf must end in .html"),
    "a folder": (["nowhere", "-o", "."], "Invalid value for '-o' / '--output': File '.' is a directory."),
}


@pytest.mark.parametrize(("arguments", "line"), ERRORS.values(), ids=ERRORS)
def test_what_cannot_be_is_one_clear_line_and_leaves_nothing_behind(cli, arguments, line):
    assert cli.error("report", *arguments) == line
    assert list(Path.cwd().iterdir()) == []


def test_a_comparison_that_is_not_finished_says_what_is_missing_and_how_to_go_on(cli):
    with without_figures():
        cli("compare", "-a", "maml", "-a", "scratch", *QUICK[2:], "--out", "both")
    shutil.rmtree("both/scratch")
    line = "both is not finished, scratch being missing; `mamlzoo resume both` goes on with it"
    for arguments in (["report", "both"], ["plot", "curves", "both"], ["plot", "adaptation", "both"]):
        assert cli.error(*arguments) == line
