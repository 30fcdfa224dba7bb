"""Shared fixtures: the command line in a folder of its own, and small third-party distributions."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

import mamlzoo
from mamlzoo.cli import main
from mamlzoo.discovery.entry_points import installed

pytest_plugins = ["pytester", "browser_pages", "logged_runs"]
collect_ignore = ["example_plugin"]  # a distribution of its own, tested where it is installed


def pytest_configure(config):
    """A worker of pytest-xdist keeps to a core of its own: threads that wait for each other on shared cores only spin."""
    if config.option.markexpr == "benchmark" and config.getoption("numprocesses", 0):
        raise pytest.UsageError("measurements need the machine for themselves: add -n 0")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})
    torch.set_num_threads(1)  # already while tests are collected, which computes what algorithms are
    gc.disable()


def pytest_collection_finish():
    """What was imported and collected stays, so nothing looked for garbage in it meanwhile, nor does from now on."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """What is compiled is compiled by these tests, and not found from before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMLZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_config(tmp_path_factory):
    """What is trusted is what was run by these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


def diverged(result: mamlzoo.Result, rows: dict[int, int]) -> mamlzoo.Result:
    """The same result, had these seeds' rows diverged at these meta-steps."""
    training = replace(result.checkpoint.training, diverged=rows)
    return replace(result, checkpoint=replace(result.checkpoint, training=training))


class Recurrent(nn.Module):
    """A small network that vmap cannot batch."""

    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(1, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.gru(x[:, None])[0][:, 0])


def interrupted(command: list[str], folder: Path, begun: Path) -> tuple[int, str]:
    """Start a process, send it SIGINT once there is something in a file, and give its exit code and its last line."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (begun.exists() and begun.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    return process.returncode, said.splitlines()[-1]


@contextmanager
def without_figures():
    """Runs leave no figures here, which take longer than the runs of many tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mamlzoo.figures.figure_files._of_run", lambda result: {})
        yield


@pytest.fixture(scope="module")
def no_figures():
    with without_figures():
        yield


class Cli:
    """Runs commands in this process and keeps stdout and stderr apart."""

    def __call__(self, *args: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(arg) for arg in args])
        if result.exit_code != code:
            raise AssertionError(f"exit {result.exit_code}\n{result.output}") from result.exception
        return result

    def json(self, *args: str, code: int = 0) -> Any:
        return json.loads(self(*args, "--json", code=code).stdout)

    def error(self, *args: str, code: int = 2) -> str:
        """The one line that a failing command prints."""
        result = self(*args, code=code)
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("Error: ")
        return lines[0].removeprefix("Error: ")


@pytest.fixture
def cli(tmp_path, monkeypatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli()


def distribute(
    site: Path, name: str, source: str | None, entry_point: str | None = None, cls: str | None = None
) -> None:
    """Write a distribution of one module into a folder, as pip would install it; without a source, one that lost it.

    Args:
        cls: what of the module its entry point names; None: the module itself, which has hooks.
    """
    module = f"plugin_of_{name}"
    if source is not None:
        (site / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    info = site / f"{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[mamlzoo]\n{entry_point or name} = {module}{f':{cls}' if cls else ''}\n")


@pytest.fixture
def distribution(tmp_path, monkeypatch) -> Callable[..., None]:
    """Installs a distribution of one module, offered under the entry point group, for the length of a test."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def install(name: str, source: str | None, *, entry_point: str | None = None, cls: str | None = None) -> None:
        distribute(site, name, source, entry_point, cls)
        installed.cache_clear()

    yield install
    installed.cache_clear()
    for module in [m for m in sys.modules if m.startswith("plugin_of_")]:
        del sys.modules[module]


@pytest.fixture
def repository() -> Path:
    return Path(__file__).parent.parent
