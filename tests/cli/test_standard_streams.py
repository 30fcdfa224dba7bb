"""Where stdout and stderr may lead, and what a command makes of it; and that its errors are one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = [sys.executable, "-m", "mamlzoo"]
RUN = [*ASK, "run", "--iterations", "2", "--test-tasks", "2", "--plan", "loop", "--test-steps", "0", "--out", "run"]


def shell(redirection, folder):
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *RUN], cwd=folder, capture_output=True, text=True, check=False
    )


SLOW = pytest.mark.slow
CLOSED = [pytest.param(redirection, marks=SLOW) for redirection in ("2>&-", ">&-", ">&- 2>&-")]


@pytest.mark.parametrize("redirection", ["2>/dev/full", *CLOSED])
def test_a_run_goes_on_where_its_remarks_find_no_room(tmp_path, redirection):
    found = shell(redirection, tmp_path)
    assert found.returncode == 0
    assert (tmp_path / "run" / "SHA256SUMS").is_file()
    assert ("test mse" in found.stdout) == (">&-" not in redirection.replace("2>&-", ""))


@pytest.mark.slow  # processes of their own
def test_a_result_that_cannot_be_printed_is_an_error_that_says_where(tmp_path):
    found = shell(">/dev/full", tmp_path)
    assert (found.returncode, found.stderr.splitlines()[-1]) == (1, "Error: stdout: No space left on device")
    assert (tmp_path / "run" / "SHA256SUMS").is_file()


@pytest.mark.slow  # processes of their own
def test_without_docstrings_the_plugins_are_there(tmp_path):
    command = [sys.executable, "-OO", "-m", "mamlzoo", "list", "--json"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert '"failures": []' in found.stdout
    assert '"sine"' in found.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--nope"], "No such option '--nope'."),
        (["--debug=3"], "Option '--debug' does not take a value."),
        (["run", "-t", "csv", "--task.folder", "a\nb"], "task 'csv': folder "),
        (
            ["run", "-m", "os:path"],
            "module 'os' has no file, as it is a part of Python itself; name a module or a FILE.py",
        ),
    ],
)
def test_an_error_is_one_line_wherever_it_was_found(cli, arguments, line):
    assert cli.error(*arguments).startswith(line)


def test_a_group_without_a_command_shows_its_help(cli):
    assert cli("plot", code=2).stderr.startswith("Usage: ")
