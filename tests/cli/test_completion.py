"""What a shell is offered behind Tab, by click's own completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from mamlzoo.cli import COMMANDS, main
from mamlzoo.discovery.entry_points import installed


def offered(*words: str) -> list[str]:
    """What may stand in place of the last word; `file:` before what the shell is to complete as a file."""
    *args, incomplete = words
    found = ShellComplete(main, {}, "mamlzoo", "_MAMLZOO_COMPLETE").get_completions(args, incomplete)
    return [f"file:{item.value}" if item.type == "file" else item.value for item in found]


def test_commands_are_offered():
    assert offered("re") == ["resume", "reproduce", "report"]
    assert offered("") == list(COMMANDS)
    assert offered("--de") == ["--debug"]


@pytest.mark.parametrize("kind", ["task", "model", "algorithm"])
@pytest.mark.parametrize("command", ["run", "compare", "sweep", "verify", "bench"])
def test_plugins_are_offered_behind_their_flags(command, kind):
    known = sorted(installed().offers[kind])
    assert offered(command, f"-{kind[0]}", "") == offered(command, f"--{kind}", "") == known
    assert offered(command, f"-{kind[0]}", known[0]) == [name for name in known if name.startswith(known[0])]


def test_a_plugin_of_another_package_is_offered_with_its_options(distribution):
    distribution("shifted", """
        import mamlzoo
        from mamlzoo_tasks.sine import Sine

        class Shifted(Sine):
            '''Shifted sine waves.'''
            name = "zz-shifted"
            reference = "none"
            offset: float = mamlzoo.option(0.0, "what is added")
        """, cls="Shifted")  # fmt: skip
    assert offered("run", "-t", "zz") == ["zz-shifted"]
    assert offered("run", "-t", "zz-shifted", "--task.of") == ["--task.offset"]
    assert offered("run", "--task.of") == []


def test_options_are_those_of_the_plugins_chosen():
    assert offered("run", "-a", "protonet", "--algorithm.") == ["--algorithm.embedding"]
    assert "--algorithm.inner-lr" in offered("run", "--algorithm.")
    assert "--task.shots" in offered("run", "--task.")
    assert offered("run", "--optimizer", "sgd", "--optimizer.m") == ["--optimizer.momentum"]
    assert offered("compare", "-a", "protonet", "-a", "maml", "--algorithm.e") == ["--algorithm.embedding"]
    assert offered("run", "--iter") == ["--iterations"]


def test_options_are_those_of_the_plugins_that_a_config_file_chooses(tmp_path):
    file = tmp_path / "x.toml"
    file.write_text('optimizer.name = "sgd"\noptimizer.momentum = 0.1\n[algorithm]\nname = "protonet"')
    assert offered("run", "--config", str(file), "--algorithm.") == ["--algorithm.embedding"]
    assert offered("run", "--config", str(file), "--optimizer.m") == ["--optimizer.momentum"]


def test_values_are_offered_where_they_are_few():
    assert offered("run", "--plan", "") == ["auto", "compile", "vmap", "loop"]
    assert offered("run", "--model.activation", "t") == ["tanh"]
    assert offered("run", "--clip-norm", "") == ["none"]
    assert offered("run", "--select-best", "") == ["true", "false"]
    assert offered("run", "--optimizer", "ada")[:3] == ["adadelta", "adafactor", "adagrad"]
    assert offered("run", "--log", "") == ["csv-log", "mlflow", "tensorboard", "wandb"]
    assert offered("sweep", "--executor", "p") == ["processes"]
    assert offered("run", "--iterations", "") == []


def test_names_are_offered_to_commands_that_take_them():
    assert offered("info", "anil") == offered("check", "anil") == ["anil"]
    assert offered("reproduce", "maml-sine-1") == ["maml-sine-10shot"]


@pytest.mark.parametrize(
    "words",
    [["run", "-t", "./my"], ["run", "--config", "my"], ["run", "my"], ["run", "-t", "csv", "--task.folder", "my"]],
)
def test_files_are_left_to_the_shell(words):
    assert offered(*words) == [f"file:{words[-1]}"]


@pytest.mark.parametrize(
    "words",
    [
        ["-t", "sin"], ["-t", "sine", "-t", "blobs"], ["--optimizer", "x", "--optimizer.y", "1"], ["--itertions", "3"],
        ["--iterations", "x"], ["--config", "gone.toml"], ["--config", "gone.toml", "run/config.json"], ["-m"],
    ],
)  # fmt: skip
def test_what_is_wrong_before_does_not_matter(words, capfd):
    assert offered("run", *words, "" if words == ["-m"] else "--test-t")
    assert capfd.readouterr() == ("", "")


def test_code_in_files_is_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("open('ran', 'w').close()\n")
    Path("x.toml").write_text('model = "net.py:Net"\n')
    assert offered("run", "-m", "net.py:Net", "--model.") == []
    assert offered("run", "--config", "x.toml", "--model.") == []
    assert not Path("ran").exists()


def test_plugins_that_fail_do_not_matter(distribution, monkeypatch):
    monkeypatch.setenv("MAMLZOO_STRICT", "1")
    distribution("broken", "raise RuntimeError\n")
    assert offered("run", "-t", "s") == ["file:s"]
    assert offered("run", "--iter") == ["--iterations"]


@pytest.mark.parametrize(
    ("shell", "at", "word"),
    [
        ("bash", "3", "plain,anil\n"),
        pytest.param("zsh", "3", "plain\nanil\nAlmost no inner loop", marks=pytest.mark.slow),
        pytest.param("fish", "ani", "plain,anil\tAlmost no inner loop", marks=pytest.mark.slow),
    ],
)
def test_a_shell_asks_the_command_itself(shell, at, word):
    asked = {"COMP_WORDS": "mamlzoo run -a ani", "COMP_CWORD": at, "_MAMLZOO_COMPLETE": f"{shell}_complete"}
    found = subprocess.run(
        [Path(sys.executable).with_name("mamlzoo")], env=os.environ | asked, capture_output=True, text=True, timeout=60
    )
    assert found.stdout.startswith(word), found
    assert found.stderr == ""


def test_a_strangers_words_are_one_line_that_no_terminal_obeys(distribution):
    distribution("odd", """
        import mamlzoo
        from mamlzoo_tasks.sine import Sine

        class Odd(Sine):
            """ + '"""Odd \\x1b[31m."""' + """
            name = "odd"
            reference = "none"
            offset: float = mamlzoo.option(0.0, "what is \\x1b[31m\\nadded")
        """, cls="Odd")  # fmt: skip
    for words in (["run", "-t", "odd"], ["run", "-t", "odd", "--task.off"]):
        (found,) = ShellComplete(main, {}, "mamlzoo", "_MAMLZOO_COMPLETE").get_completions(words[:-1], words[-1])
        assert found.help.isprintable()
        assert "\\x1b[31m" in found.help
