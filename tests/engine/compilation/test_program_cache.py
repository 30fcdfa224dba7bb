"""Compiled programs on disk: only what was put there, by nobody else, is taken out, and a crash is remembered once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlzoo.engine.compilation import program_cache
from mamlzoo.engine.compilation.program_cache import CannotCompileError, DamagedError

CONTENT = bytes(range(256)) * 3


@pytest.fixture
def program(tmp_path):
    """A program in a cache."""
    path = tmp_path / "key.program"
    keep(path)
    return path


def keep(path: Path, content: bytes = CONTENT) -> None:
    with program_cache.own_folder(path.parent) as folder:
        program_cache.write(path, content, folder)


BEGIN = """\
import os, signal, time
from pathlib import Path
from mamlzoo.engine.compilation import program_cache
path = Path({!r})
"""


def elsewhere(path: Path, does: str) -> subprocess.Popen:
    """Another process that does something with the cache of a program."""
    return subprocess.Popen([sys.executable, "-c", BEGIN.format(str(path)) + does])


def test_a_program_comes_out_as_it_was_put_in(program):
    assert program_cache.read(program) == CONTENT
    assert program_cache.read(program.with_name("other.program")) is None


@given(st.data())
def test_a_program_with_another_bit_anywhere_or_cut_anywhere_is_not_taken(data):
    path = Path(os.environ["MAMLZOO_CACHE"], "flipped.program")
    path.parent.mkdir(exist_ok=True)
    keep(path)
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, 8 * len(whole) - 1))
        whole[at // 8] ^= 1 << at % 8
    else:
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    path.write_bytes(whole)
    with pytest.raises(DamagedError, match=r"^the program .*flipped\.program is damaged$"):
        program_cache.read(path)
    assert not path.exists()


def test_a_program_under_the_name_of_another_is_not_taken(program):
    other = program.with_name("other.program")
    program.rename(other)
    with pytest.raises(DamagedError, match="is damaged"):
        program_cache.read(other)


def test_a_program_that_others_may_write_or_that_is_theirs_is_not_taken(program, monkeypatch):
    program.chmod(0o620)
    with pytest.raises(DamagedError, match=r"^the program .*key\.program may be written by others$"):
        program_cache.read(program)
    assert program_cache.read(program) is None
    keep(program)
    assert program.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(DamagedError, match=r"^the program .*key\.program belongs to somebody else$"):
        program_cache.read(program)


def test_what_is_no_file_is_not_read(program):
    program.unlink()
    os.mkfifo(program)
    with pytest.raises(DamagedError, match="is no file$"):
        program_cache.read(program)


def test_the_folder_is_made_for_this_user_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMLZOO_CACHE", str(tmp_path / "a" / "cache"))
    assert program_cache.place() == (tmp_path / "a" / "cache", None)
    assert (tmp_path / "a" / "cache").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("mode", "parent", "owner", "why"),
    [
        (0o770, 0o755, os.geteuid(), "may be written by others; chmod 700 would do"),
        (0o707, 0o755, os.geteuid(), "may be written by others; chmod 700 would do"),
        (0o700, 0o777, os.geteuid(), "lies in {parent}, which everybody may write"),
        (0o700, 0o755, 12345, "belongs to somebody else"),
    ],
)
def test_a_folder_that_is_not_safe_is_left_alone_and_that_is_said(tmp_path, monkeypatch, mode, parent, owner, why):
    cache = tmp_path / "parent" / "cache"
    cache.mkdir(parents=True)
    cache.chmod(mode)
    cache.parent.chmod(parent)
    monkeypatch.setenv("MAMLZOO_CACHE", str(cache))
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    folder, alert = program_cache.place()
    assert folder != cache
    assert folder.stat().st_mode & 0o777 == 0o700
    assert alert == f"the cache {cache} {why.format(parent=cache.parent)}; what is compiled is not kept"


def test_a_folder_in_one_that_everybody_may_write_but_in_which_everybody_keeps_his_own_is_safe(tmp_path, monkeypatch):
    tmp_path.chmod(0o1777)
    monkeypatch.setenv("MAMLZOO_CACHE", str(tmp_path / "cache"))
    assert program_cache.place().alert is None


def test_a_cache_that_cannot_be_made_is_replaced_and_that_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAMLZOO_CACHE", str(tmp_path / "file" / "cache"))
    assert "cannot be used (Not a directory); what is compiled is not kept" in str(program_cache.place().alert)


def crashes(program: Path) -> None:
    process = elsewhere(program, "with program_cache.trying(path): os.kill(os.getpid(), signal.SIGSEGV)")
    assert process.wait() == -signal.SIGSEGV


def test_a_program_that_ends_a_process_is_made_again_once(program):
    crashes(program)
    with pytest.raises(DamagedError, match=r"^the program .*key\.program ended the process that tried it$"):
        program_cache.read(program)
    assert program_cache.read(program) is None
    keep(program)
    crashes(program)
    for _ in range(2):
        with pytest.raises(
            CannotCompileError,
            match=r"^two processes that tried its program crashed or were killed \(delete .*key\.\* to have it made",
        ):
            program_cache.read(program)
    for left in program.parent.glob("key.*"):
        left.unlink()
    assert program_cache.read(program) is None


def test_a_crash_is_forgotten_once_the_program_is_right(program):
    for _ in range(3):
        crashes(program)
        with pytest.raises(DamagedError):
            program_cache.read(program)
        keep(program)
        program_cache.trust(program)


def test_a_program_that_is_being_tried_has_not_crashed(program):
    with program_cache.trying(program):
        process = elsewhere(program, f"assert len(program_cache.read(path)) == {len(CONTENT)}")
        assert process.wait() == 0
    with pytest.raises(ZeroDivisionError), program_cache.trying(program):
        raise ZeroDivisionError
    assert program_cache.read(program) == CONTENT
    assert [left.name for left in program.parent.iterdir()] == ["key.program"]


def test_a_program_that_is_wrong_is_removed_once(program):
    assert program_cache.distrust(program)
    assert not program.exists()
    keep(program)
    assert not program_cache.distrust(program)
    assert program.exists()


def test_what_a_killed_process_left_is_removed_and_what_another_uses_is_not(program):
    inside = elsewhere(
        program,
        "with program_cache.own_folder(path.parent) as folder:\n"
        "    (folder / 'library.so').touch()\n"
        "    time.sleep(60)\n",
    )
    while not list(program.parent.glob("mamlzoo-*/library.so")):
        assert inside.poll() is None
        time.sleep(0.02)
    keep(program)
    assert list(program.parent.glob("mamlzoo-*/library.so"))
    inside.kill()
    inside.wait()
    old, new = program.parent / "mamlzoo-abcd", program.parent / "mamlzoo-efgh"
    own = program.parent / "tmp"  # of the user, who chose the folder
    own.mkdir()
    os.utime(own, (0, 0))
    old.mkdir()
    new.mkdir()
    os.utime(old, (0, 0))
    keep(program)
    assert sorted(left.name for left in program.parent.iterdir()) == ["key.program", "mamlzoo-efgh", "tmp"]
