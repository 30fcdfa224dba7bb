"""Every flag of every command, given what nobody should: one line and an exit code, no traceback."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from mamlzoo.cli import COMMANDS, main

VALUES = ["", " ", "nan", "inf", "1e400", "9" * 5000, "ünï", "٣", "1_0", "[/x]", "\x1b[31m", "../x", "--"]


def leaves():
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        inner = getattr(command, "commands", None)
        yield from ([([name, below], inner[below]) for below in inner] if inner else [([name], command)])


def numbers_of(path, command):
    """The flags that hold numbers, each of which refuses all of these without anything being run."""
    # Below main's, whose words for help a command keeps from the first time that it is asked.
    context = click.Context(command, parent=click.Context(main, **main.context_settings))
    context.meta["mamlzoo.cli.chosen"] = {
        kind: list(command.defaults[kind]) for kind in getattr(command, "kinds", ())
    } or {"task": ["sine"]}
    for param in command.get_params(context):
        if isinstance(param, click.Option) and any(kind in str(param.type.name) for kind in ("INT", "FLOAT")):
            yield pytest.param(path, param.opts[0], id=" ".join([*path, param.opts[0]]))


NUMBERS = [case for path, command in leaves() for case in numbers_of(path, command)]


def test_there_are_such_flags():
    assert len(NUMBERS) > 40


@pytest.mark.slow
@pytest.mark.parametrize(("path", "flag"), NUMBERS)
def test_a_number_is_refused_in_one_line(path, flag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    several = "hidden" in flag  # of which there may be none
    for value in VALUES[2 * several :]:
        found = CliRunner().invoke(main, [*path, f"{flag}={value}"])
        assert found.exit_code == 2, (value[:9], found.output, found.exception)
        lines = found.stderr.splitlines()
        assert len(lines) == 1, (value[:9], found.stderr)
        assert lines[0].startswith("Error: ")
        assert "Traceback" not in found.output
    assert list(tmp_path.iterdir()) == []
