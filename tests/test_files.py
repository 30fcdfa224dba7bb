"""Files and folders: whole or not there, with the permissions that the person wants, and nothing left behind."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import mamlzoo
from mamlzoo import MamlzooError, UsageError, files
from mamlzoo.runs import directory as run_directory
from mamlzoo.scaffold import package as new_plugin

pytestmark = pytest.mark.usefixtures("no_figures")
QUICK = {"iterations": 1, "meta_batch": 2, "test_tasks": 2, "test_steps": 1, "plan": "loop"}


@pytest.fixture(scope="module")
def run(tmp_path_factory, no_figures) -> Path:
    directory = tmp_path_factory.mktemp("files") / "run"
    mamlzoo.run(**QUICK, out=directory)
    return directory


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def modes(directory: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*") if path.name != files.LOCK}


def test_the_umask_decides_who_may_read_a_run(umask, tmp_path):
    mamlzoo.run(**QUICK).save(tmp_path / "saved")
    mamlzoo.run(**QUICK, out=tmp_path / "recorded")
    new_plugin.write("lines", "task", tmp_path / "package")
    for directory in ("saved", "recorded"):
        assert modes(tmp_path / directory) == {0o640}
        assert stat.S_IMODE((tmp_path / directory).stat().st_mode) == 0o750
    assert modes(tmp_path / "package") == {0o640, 0o750}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_read(make, tmp_path):
    make(tmp_path / "x")
    with pytest.raises(OSError, match="it is no regular file|Is a directory"):
        files.read(tmp_path / "x")


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_lock_that_is_another_file_is_not_taken_and_that_file_is_not_emptied(link, run, tmp_path, cli):
    (tmp_path / "precious").write_text("x")
    mamlzoo.load(run).save(tmp_path / "begun")
    run_directory.reopen(tmp_path / "begun")
    link(tmp_path / "begun" / ".lock", tmp_path / "precious")
    assert "begun/.lock is a link, or no file at all" in cli.error("resume", "begun", "-q", code=1)
    assert (tmp_path / "precious").read_text() == "x"


def test_a_finished_run_is_shown_where_nothing_can_be_written(run, tmp_path, cli):
    mamlzoo.load(run).save(tmp_path / "run")
    (tmp_path / "run" / ".lock").mkdir()  # as in a folder that can only be read, no lock is to be had
    assert "steps" in cli("resume", "run", "-q").stdout


def test_a_finished_comparison_is_shown_where_nothing_can_be_written(tmp_path, cli):
    mamlzoo.compare(algorithm=["maml", "fomaml"], **QUICK).save(tmp_path / "both")
    (tmp_path / "both" / ".lock").mkdir()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "both").iterdir()}
    assert "fomaml" in cli("resume", "both", "-q").stdout
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "both").iterdir()} == before


KILLED = """
import os, sys
from pathlib import Path
from mamlzoo.runs.directory import new_directory
with new_directory(Path(sys.argv[1])) as temporary:
    (temporary / "half").write_text("x")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_had_begun_goes_with_the_next_run_there(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / "one"], check=False)
    (tmp_path / ".of.a.person").mkdir()
    assert len(list(tmp_path.iterdir())) == 2
    with run_directory.new_directory(tmp_path / "another") as writing, run_directory.new_directory(tmp_path / "third"):
        assert writing.exists()  # by another who still writes
    assert {path.name for path in tmp_path.iterdir()} == {".of.a.person", "another", "third"}


def test_a_lost_race_leaves_nothing_hidden(tmp_path):
    with (
        pytest.raises(MamlzooError, match=r"was taken meanwhile \(.*\); the results are in .*/run-2"),
        run_directory.new_directory(tmp_path / "run") as temporary,
    ):
        (temporary / "result.json").write_text("x")
        (tmp_path / "run" / "other").mkdir(parents=True)
    with (
        pytest.raises(MamlzooError, match=r"was taken meanwhile \(.*\); choose another"),
        run_directory.new_directory(tmp_path / "plan", kept=False) as temporary,
    ):
        (tmp_path / "plan" / "other").mkdir(parents=True)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "run-2", "plan"}


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that takes nothing more; torch and Python have what they need of it."""

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)


def test_a_full_disk_is_named_with_the_file_by_adapt(run, tmp_path, cli, full_disk):
    (tmp_path / "s.csv").write_text("x,y\n1,1\n")
    said = cli.error("adapt", run, "--support", "s.csv", "-o", "out", code=1)
    assert said == f"{tmp_path}/out/predictions.json could not be written: No space left on device"
    assert {path.name for path in tmp_path.iterdir()} == {"s.csv"}


def test_a_full_disk_is_named_with_the_file_by_new_plugin(tmp_path, cli, full_disk):
    said = cli.error("new-plugin", "lines", "--kind", "task", code=1)
    assert said == f"{tmp_path}/lines/pyproject.toml could not be written: No space left on device"
    assert not list(tmp_path.iterdir())


def test_a_path_that_is_not_utf_8_is_adapted_to_and_from(run, tmp_path, cli):
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/\xff"))
    folder.mkdir()
    mamlzoo.load(run).save(folder / "run")
    (folder / "s.csv").write_text("x,y\n1,1\n")
    cli("adapt", folder / "run", "--support", folder / "s.csv", "-o", folder / "out", "--export", folder / "net.pt")
    assert {path.name for path in (folder / "out").iterdir()} >= {"predictions.csv", "predictions.json"}


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"), run_directory.new_directory(tmp_path / "file" / "below"):
        pass


@given(st.text(st.characters()))
@example("\\n")
@example("a\r\nb\x85\u2028c\udcff")
def test_a_text_in_one_line_is_one_line_and_comes_back(text):
    line = files.in_one_line(text)
    assert line.splitlines() == [line]
    assert files.of_one_line(line) == text
