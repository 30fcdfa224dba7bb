"""Every flag of every command, given what nobody should: one line and an exit code, no traceback."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from mamlzoo.cli import COMMANDS, main

pytestmark = pytest.mark.usefixtures("no_figures")
VALUES = ["", " ", "nan", "inf", "1e400", "9" * 5000, "ünï", "٣", "1_0", "[/x]", "\x1b[31m", "../x", "--"]


def leaves():
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        inner = getattr(command, "commands", None)
        yield from ([([name, below], inner[below]) for below in inner] if inner else [([name], command)])


def params_of(path, command):
    """Its flags and arguments, plugins' options too."""
    # Below main's, whose words for help a command keeps from the first time that it is asked.
    context = click.Context(command, parent=click.Context(main, **main.context_settings))
    context.meta["mamlzoo.cli.chosen"] = {
        kind: list(command.defaults[kind]) for kind in getattr(command, "kinds", ())
    } or {"task": ["sine"]}
    for param in command.get_params(context):
        yield pytest.param(path, param, id=" ".join([*path, param.opts[0]]))


def is_number(param):
    return isinstance(param, click.Option) and any(kind in str(param.type.name) for kind in ("INT", "FLOAT"))


EVERY = [case for path, command in leaves() for case in params_of(path, command)]
NUMBERS = [case for case in EVERY if is_number(case.values[1])]
TEXTS = [case for case in EVERY if case not in NUMBERS and not getattr(case.values[1], "is_flag", False)]


def test_there_are_such_flags():
    assert len(NUMBERS) > 40
    assert len(TEXTS) > 40


@pytest.mark.slow
@pytest.mark.parametrize(("path", "param"), NUMBERS)
def test_a_number_is_refused_in_one_line(path, param, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flag = param.opts[0]
    several = "hidden" in flag  # of which there may be none
    for value in VALUES[2 * several :]:
        found = CliRunner().invoke(main, [*path, f"{flag}={value}"])
        assert found.exit_code == 2, (value[:9], found.output, found.exception)
        lines = found.stderr.splitlines()
        assert len(lines) == 1, (value[:9], found.stderr)
        assert lines[0].startswith("Error: ")
        assert "Traceback" not in found.output
    assert list(tmp_path.iterdir()) == []


TEXT_VALUES = ["", " ", ",", "a,b", "x" * 5000, "ünï", "\udcff", "[/x]", "\x1b[31m", "../x", "--", "-", "a\nb", "os:path",
               "/dev/null", "nothing.py:Net", "a:b:c", "%s{0}", "."]  # fmt: skip
LITTLE = ["--iterations", "1", "--test-tasks", "2", "--test-steps", "1", "--plan", "vmap"]
CHEAP = {
    "run": LITTLE, "compare": [*LITTLE, "-a", "scratch", "-a", "maml"], "sweep": [*LITTLE, "--valid-tasks", "2", "--outer-lr", "1,2"],
    "verify": ["--episodes", "1", "--model.hidden", "2"], "bench": ["--seconds", "0.01", "--plans", "loop", "--meta-batch", "1"],
    "new-plugin": ["thing"], "plot average": ["--count", "3"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("path", "param"), TEXTS)
def test_a_text_is_taken_or_refused_in_one_line(path, param, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in TEXT_VALUES:
        if isinstance(param, click.Option):
            given = [f"{param.opts[0]}={value}"] if param.opts[0].startswith("--") else [param.opts[0], value]
        else:
            given = [value]
        found = CliRunner().invoke(main, [*path, *CHEAP.get(" ".join(path), []), *given])
        assert found.exception is None or isinstance(found.exception, SystemExit), (value[:9], found.exception)
        assert found.exit_code in (0, 1, 2), (value[:9], found.output)
        assert "Traceback" not in found.output
        assert "\x1b" not in found.output
        if found.exit_code == 2:
            (line,) = found.stderr.splitlines()
            assert line.startswith("Error: ")
