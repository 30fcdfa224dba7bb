"""`mamlzoo report` as a person meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

QUICK = ["-t", "blobs", "--iterations", "2", "--meta-batch", "2", "--test-tasks", "3", "--test-steps", "1", "--quiet"]


def test_runs_and_comparisons_become_one_page_each_run_once(cli):
    cli("compare", "-a", "protonet", "-a", "scratch", *QUICK, "--out", "both")
    assert cli("report", "both", "-o", "all.html").stderr == "saved: all.html\n"
    cli("report", "both/protonet", "both", "./both/../both/scratch", "-o", "again.html")
    assert Path("all.html").read_bytes() == Path("again.html").read_bytes()
    assert "blobs × mlp × protonet, scratch" in Path("all.html").read_text(encoding="utf-8")


ERRORS = {
    "no run": (["nowhere"], "nowhere is no run directory: it has no config.json"),
    "nothing": ([], "Missing argument 'RUNS...'."),
    "no page": (["nowhere", "-o", "page.pdf"], "page.pdf must end in .html"),
    "a folder": (["nowhere", "-o", "."], "Invalid value for '-o' / '--output': File '.' is a directory."),
}


@pytest.mark.parametrize(("arguments", "line"), ERRORS.values(), ids=ERRORS)
def test_what_cannot_be_is_one_clear_line_and_leaves_nothing_behind(cli, arguments, line):
    assert cli.error("report", *arguments) == line
    assert list(Path.cwd().iterdir()) == []


def test_a_comparison_without_a_finished_run_says_how_to_go_on(cli):
    Path("both/maml").mkdir(parents=True)
    Path("both/maml/config.json").write_text("{}")
    line = "both has no finished run; `mamlzoo resume both/maml` goes on with one"
    for arguments in (["report", "both"], ["plot", "curves", "both"], ["plot", "adaptation", "both"]):
        assert cli.error(*arguments) == line
