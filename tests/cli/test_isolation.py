"""What a person sees of plugins that fail: `mamlzoo list`, choosing one, the environment variables, `--debug`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from textwrap import dedent

import pytest
from conftest import distribute

QUICK = ["--iterations", "2", "--meta-batch", "2", "--test-tasks", "4", "--test-steps", "1"]
LACKING = "import nothing_of_this_name"
HOOK = "import mamlzoo\n@mamlzoo.hookimpl\ndef mamlzoo_plugins():\n    "
MODEL = '''
import mamlzoo

class {cls}(mamlzoo.Model):
    """A model."""

    name = "{name}"
    {option}

    def build(self, spec):
        return None

@mamlzoo.hookimpl
def mamlzoo_plugins():
    return [{cls}]
'''
TWELVE = {
    "raises": "1 / 0",
    "lacks": LACKING,
    "misread": "def (:",
    "exits": "raise SystemExit(3)",
    "nohook": "x = 1",
    "misspelt": HOOK.replace("plugins", "plugin") + "return []",
    "hookraises": HOOK + "raise RuntimeError('oh')",
    "nolist": HOOK + "pass",
    "wrongtype": HOOK + "return [int]",
    "taken": MODEL.format(cls="Mlp", name="mlp", option=""),
    "option": MODEL.format(cls="Odd", name="odd", option="size: list = mamlzoo.option(1, 'size')"),
    "newer": "__mamlzoo_contract__ = 99",
}


def test_list_shows_what_failed_where_and_what_to_do(cli, distribution, tmp_path):
    distribution("broken", LACKING, entry_point="entry")
    shown = cli("list").stdout
    assert "failed plugins" in shown
    assert "entry   it needs the module 'nothing_of_this_name', which is not installed" in shown
    assert "→ pip install nothing_of_this_name, or tell the authors of broken" in shown
    assert "broken 1.5, entry point entry = plugin_of_broken" in shown
    assert f"{tmp_path / 'site' / 'plugin_of_broken.py'}:1" in shown


def test_list_has_the_same_in_fields(cli, distribution, tmp_path):
    distribution("broken", LACKING, entry_point="entry")
    assert cli.json("list")["failures"] == [{
        "distribution": "broken",
        "version": "1.5",
        "entry_point": "entry",
        "module": "plugin_of_broken",
        "plugin": None,
        "stage": "importing",
        "file": str(tmp_path / "site" / "plugin_of_broken.py"),
        "line": 1,
        "error": "ModuleNotFoundError: No module named 'nothing_of_this_name'",
        "what": "it needs the module 'nothing_of_this_name', which is not installed",
        "remedy": "pip install nothing_of_this_name, or tell the authors of broken",
    }]  # fmt: skip


def test_debug_shows_each_failed_plugins_own_traceback_on_stderr(cli, distribution):
    distribution("one", "def first():\n    return 1 / 0\nfirst()")
    distribution("two", HOOK + "raise RuntimeError('oh')")
    result = cli("--debug", "list")
    assert "in first\n    return 1 / 0\n" in result.stderr
    assert "in mamlzoo_plugins\n    raise RuntimeError('oh')\n" in result.stderr
    assert "Traceback" not in result.stdout
    assert "Traceback" not in cli("list").stderr


def test_choosing_a_failed_plugin_is_one_line(cli, distribution):
    distribution("broken", LACKING)
    said = cli.error("run", "-t", "broken", code=1)
    assert said.startswith(
        "task 'broken' could not be loaded: broken 1.5, importing plugin_of_broken (entry point broken, "
    )
    assert said.endswith("; pip install nothing_of_this_name, or tell the authors of broken")


def test_a_failed_plugin_does_not_stop_the_others(cli, distribution, no_figures):
    distribution("broken", LACKING)
    cli("run", *QUICK)


@pytest.mark.parametrize("command", [["list"], ["run", *QUICK]], ids=lambda command: command[0])
def test_the_strict_mode_is_one_line_and_exit_code_1(cli, distribution, monkeypatch, command):
    distribution("broken", LACKING)
    monkeypatch.setenv("MAMLZOO_STRICT", "1")
    assert cli.error(*command, code=1).startswith("broken 1.5, importing plugin_of_broken (")


def test_plugins_that_are_not_allowed_are_left_out_and_list_says_so(cli, distribution, monkeypatch):
    distribution("broken", LACKING)
    monkeypatch.setenv("MAMLZOO_PLUGINS", "brokn")
    shown = cli("list").stdout
    assert "failed plugins" not in shown
    assert "MAMLZOO_PLUGINS leaves out: broken 1.5" in shown
    assert "MAMLZOO_PLUGINS names 'brokn', which offers no plugin here; did you mean 'broken'?" in shown
    document = cli.json("list")
    assert [entry["distribution"] for entry in document["left_out"]] == ["broken"]
    assert document["unknown"] == ["brokn"]
    assert "(MAMLZOO_PLUGINS leaves out broken)" in cli.error("run", "-t", "broken")


def test_a_fault_in_a_run_is_one_line_and_debug_shows_the_plugins_own_traceback(cli, distribution):
    distribution("shop", dedent(MODEL).format(cls="Odd", name="odd", option="").replace("return None", "1 / 0"))
    said = cli.error("run", "-m", "odd", code=1)
    assert said.startswith("model 'odd' failed to build: ZeroDivisionError: division by zero (from shop 1.5, ")
    error = cli("--debug", "run", "-m", "odd", code=1).exception
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_a_task_that_cannot_be_drawn_is_named_with_its_origin(cli, distribution):
    distribution("shop", """
        import mamlzoo
        from mamlzoo_tasks.sine import Sine

        class Odd(Sine):
            'Odd.'
            name = "odd"

            def sample(self, count, *, split, generator):
                return 1 / 0

        @mamlzoo.hookimpl
        def mamlzoo_plugins():
            return [Odd]
    """)  # fmt: skip
    said = cli.error("plot", "gallery", "-t", "odd", code=1)
    assert said.startswith("task 'odd' failed to sample: ZeroDivisionError: division by zero (from shop 1.5, ")
    assert "plugin_of_shop.py:10; `mamlzoo check odd` tests it" in said


def command(folder, *arguments, site=""):
    """A `mamlzoo` of its own, with what is installed in a folder besides."""
    paths = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    environment = os.environ | {"PYTHONPATH": paths}
    line = [sys.executable, "-m", "mamlzoo", *arguments]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=True)


@pytest.fixture
def twelve(tmp_path):
    """A folder with twelve broken distributions."""
    site = tmp_path / "site"
    site.mkdir()
    for name, source in TWELVE.items():
        distribute(site, name, source)
    return site


@pytest.mark.slow
def test_twelve_broken_plugins_are_shown_and_everything_else_works(tmp_path, twelve):
    _, _, failed = command(tmp_path, "list", site=twelve).stdout.partition("failed plugins")
    assert failed.count("→") == 12
    assert all(f"{name} 1.5, entry point {name} = " in failed for name in TWELVE)
    assert "sine × mlp × maml" in command(tmp_path, "run", *QUICK, site=twelve).stdout


@pytest.mark.benchmark
def test_twelve_broken_plugins_do_not_make_list_slow(tmp_path, twelve):
    def seconds(site):
        before = time.perf_counter()
        command(tmp_path, "list", site=site)
        return time.perf_counter() - before

    seconds(twelve)  # bytecode is written once
    normal, broken = zip(*((seconds(""), seconds(twelve)) for _ in range(7)), strict=True)
    assert statistics.median(broken) < 1.5 * statistics.median(normal)
