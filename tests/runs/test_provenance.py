"""The revision of the folder that somebody stands in, asked for without running what lies in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mamlzoo.runs import provenance


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "core.fsmonitor=false"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A repository with one commit, in which commands run; `spy` leaves a file behind."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    spy = tmp_path / "spy"
    spy.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n")
    spy.chmod(0o755)
    git("init")
    (folder / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    provenance._git_revision.cache_clear()
    yield folder
    provenance._git_revision.cache_clear()


def hooks(folder: Path) -> None:
    (folder.parent / "hooks").mkdir()
    for name in ("post-index-change", "fsmonitor-watchman", "query-watchman"):
        (folder.parent / "hooks" / name).symlink_to(folder.parent / "spy")
    git("config", "core.hooksPath", str(folder.parent / "hooks"))


def filters(folder: Path) -> None:
    for name in ("clean", "process", "smudge"):
        git("config", f"filter.a b.{name}", str(folder.parent / "spy"))
        git("config", f"filter.x.{name}", str(folder.parent / "spy"))
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "attributes").write_text("* filter=x\n")


def filters_with_equals_signs(folder: Path) -> None:
    for name in ("a=b", "a.b = c", "="):
        with (folder / ".git" / "config").open("a") as config:
            config.write(f'[filter "{name}"]\n\tclean = {folder.parent}/spy\n\tprocess = {folder.parent}/spy\n')
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "attributes").write_text("* filter=a=b\n")


def a_submodule(folder: Path) -> None:
    inner = folder.parent / "inner"
    subprocess.run(["git", "clone", "-q", str(folder), str(inner)], check=True, capture_output=True)
    git("-c", "protocol.file.allow=always", "submodule", "add", str(inner), "sub")
    subprocess.run(["git", "-C", "sub", "config", "core.fsmonitor", str(folder.parent / "spy")], check=True)


TRAPS = {
    "core.fsmonitor": lambda folder: git("config", "core.fsmonitor", str(folder.parent / "spy")),
    "core.hooksPath": hooks,
    "filters": filters,
    "filters with equals signs": filters_with_equals_signs,
    "a submodule's core.fsmonitor": a_submodule,
    "an included config": lambda folder: (
        (folder.parent / "more").write_text(f"[core]\nfsmonitor = {folder.parent}/spy\n"),
        git("config", "include.path", str(folder.parent / "more")),
    ),
}


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_nothing_that_a_repository_names_is_run(trap, repository):
    trap(repository)
    (repository / "file").write_text("two")
    os.utime(repository / "file", (1, 1))
    (repository.parent / "ran").unlink(missing_ok=True)
    found = provenance.git_revision()
    assert found is not None
    assert len(found["revision"]) == 40
    assert found["changed"]
    assert not (repository.parent / "ran").exists()


def test_what_the_environment_says_of_another_repository_is_not_heard(repository, monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(tmp_path / "spy"))
    found = provenance.git_revision()
    assert found is not None
    assert not found["changed"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("allowing", ["protocol.ext.allow", "protocol.allow"])
def test_nothing_is_fetched_whatever_a_repository_allows(allowing, repository):
    git("config", allowing, "always")
    git("config", "remote.origin.url", f"ext::{repository.parent}/spy")
    with pytest.raises(subprocess.CalledProcessError):
        provenance._git(repository, "ls-remote", "origin")
    assert not (repository.parent / "ran").exists()


def test_a_git_that_takes_no_settings_from_the_environment_is_not_asked(repository, monkeypatch):
    old = repository.parent / "old"
    old.mkdir()
    real = shutil.which("git")
    (old / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *version*) echo git version 2.30.9;; *) exec {real} "$@";; esac\n'
    )
    (old / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{old}:{os.environ['PATH']}")
    assert provenance.git_revision() is None


def test_a_file_name_that_is_not_utf_8_is_no_matter(repository):
    git("config", "core.quotePath", "false")
    name = os.fsdecode(b"\xff")
    Path(name).write_text("x")
    git("add", name)
    assert provenance.git_revision()["changed"]


def test_looking_writes_nothing_into_the_repository(repository):
    os.utime(repository / "file", (1, 1))  # so that git would refresh its index
    before = (repository / ".git" / "index").read_bytes()
    assert not provenance.git_revision()["changed"]
    assert (repository / ".git" / "index").read_bytes() == before
