"""What a person sees while something runs."""

from __future__ import annotations

import re
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

import mamlzoo
from mamlzoo import UsageError
from mamlzoo.cli.progress import Display, _in_notebook
from mamlzoo.cli.progress_lines import BAR, Line
from mamlzoo.cli.time_left import Countdown
from mamlzoo.engine.evaluation import EvaluationProgress
from mamlzoo.engine.plan_choice import Alert, Choice, Notice
from mamlzoo.engine.training import TrainingState
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.runs.execution import NOTHING
from mamlzoo.runs.name_resolution import combined
from mamlzoo.runs.watchers import Part

QUICK = {"iterations": 4, "meta_batch": 2, "valid_tasks": 2, "test_tasks": 6, "test_steps": 1, "plan": "loop"}


@given(st.text(max_size=90), st.floats(0, 1), st.lists(st.text("ab1 ", max_size=30), max_size=4), st.integers(40, 200))
def test_at_any_width_there_are_bar_share_and_time_on_one_line(text, share, info, width):
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    drawn = Line(text, share, "12:34:56 left", info).drawn(width)
    assert f"{int(100 * share)}%  12:34:56 left" in drawn
    assert len(re.findall("[━─]", drawn)) >= BAR
    assert cell_len(drawn) <= width


def test_a_sweeps_line_at_80_columns_is_shortened_in_its_text_and_not_in_its_bar():
    line = Line("train cell 2: inner_lr=0.05, meta_batch=4, hidden=40,40,40,40", 0.4, "1:40 left", ["loss 1.353"])
    assert line.drawn(80) == "train cell 2: inner_lr=0.05, meta_batch=4, hidden=40… ━━━━──────  40%  1:40 left"


def test_in_a_terminal_without_such_letters_a_bar_is_of_plain_ones():
    assert Line("train", 0.5, "0:07 left").drawn(40, ascii_only=True) == "train =========---------  50%  0:07 left"


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """A display that is told of runs whose every step takes a known time."""

    def __init__(self):
        self.clock, self.said, self.left = Clock(), [], []
        self.display = Display(self.said.append, self.clock)

    def look(self) -> list[str]:
        """The lines now; keeps how many seconds the first one says are left."""
        lines = self.display.lines()
        found = re.fullmatch(r"(?:(\d+):)?(\d+):(\d\d) left", lines[0].time)
        if found:
            self.left.append((self.clock.now, int(found[1] or 0) * 3600 + int(found[2]) * 60 + int(found[3])))
        return [line.drawn(100) for line in lines]

    def tell(self, experiment, event, seconds):
        self.clock.now += seconds
        self.display(experiment, event)
        self.look()

    def run(self, experiment, *, preparing=3.0, step=0.1, evaluating=2.0):
        """All events of a run, a checkpoint each ten meta-steps and a validation each hundred."""
        settings, history = experiment.settings, []

        def evaluate():
            for done in range(1, 5):
                self.tell(experiment, EvaluationProgress(done, 4), evaluating / 4)

        def checkpoint(at, seconds, plan="vmap"):
            state = Checkpoint(Choice(plan, ""), TrainingState(at, {}), validation=list(history))
            self.tell(experiment, state, seconds)

        checkpoint(0, 0.0, NOTHING.plan)
        self.tell(experiment, Choice("vmap", "as asked for"), preparing)
        for at in range(10, settings.iterations + 1, 10):
            if settings.validate_every and (at - 10) % settings.validate_every == 0 and at > 10:
                evaluate()
                history.append(ValidationRecord(at - 10, "mse", np.ones(1)))
                self.tell(experiment, history[-1], 0.0)
            checkpoint(at, 10 * step)
        if settings.validate_every:
            evaluate()
            history.append(ValidationRecord(settings.iterations, "mse", np.ones(1)))
            self.tell(experiment, history[-1], 0.0)
        evaluate()

    def worst(self, total: float, after: float) -> float:
        """How far the time left was from what came, at most, as a share of what was left."""
        return max(abs(left - (total - now)) / (total - now + 10) for now, left in self.left if now >= after)


def experiments(count=1, **settings):
    rates = [mamlzoo.make("algorithm", "maml", inner_lr=0.01 * (1 + at)) for at in range(count)]
    return combined(["sine"], ["mlp"], rates, **({"iterations": 400, "test_tasks": 200, "valid_tasks": 200} | settings))


def test_training_validating_and_testing_are_one_measure_of_time():
    scene, (experiment,) = Scene(), experiments(validate_every=100)
    scene.run(experiment)
    total = scene.clock.now
    assert total == pytest.approx(3 + 40 + 5 * 2)
    assert scene.worst(total, after=15) < 0.25  # once a validation was seen


def test_of_several_cells_the_time_of_all_is_shown_and_does_not_jump():
    several, scene = experiments(6, validate_every=400), Scene()
    for at, experiment in enumerate(several):
        scene.display.begins(Part("cell", at + 1, 6, f"inner_lr={at}", several[at:]))
        scene.run(experiment)
        assert scene.look()[0].startswith(f"6 cells, {at} done ━")
        assert scene.look()[1].startswith(f"test cell {at + 1}: inner_lr={at} ━")
    assert scene.worst(scene.clock.now, after=60) < 0.1  # a cell has ended
    pairs = zip(scene.left, scene.left[1:], strict=False)
    assert all(later - before <= 0.2 * before + 2 for (then, before), (now, later) in pairs)


def test_a_share_that_was_shown_does_not_fall():
    several, scene, shares = experiments(3), Scene(), []
    for at, experiment in enumerate(several):
        scene.display.begins(Part("cell", at + 1, 3, f"inner_lr={at}", several[at:]))
        scene.run(experiment, step=0.1 * (1 + at))
        shares.append(scene.display.lines()[0].share)
    assert shares == sorted(shares)


def test_what_takes_a_while_shows_the_time_that_runs():
    scene, (experiment,) = Scene(), experiments()
    scene.tell(experiment, Notice("compiling the meta-step, once: about 56 s"), 0)
    scene.clock.now = 92
    assert scene.look() == ["compiling the meta-step, once: about 56 s  1:32"]


def test_a_time_left_glides_to_a_new_estimate():
    shown = Countdown()
    assert shown(100.0, 0.0) == 100.0
    assert shown(99.0, 1.0) == pytest.approx(99.0)
    assert 98.0 < shown(480.0, 1.5) < 160.0
    assert shown(440.0, 30.0) == pytest.approx(440.0, rel=0.01)


def test_lines_that_stay_are_said_at_once():
    scene, (experiment,) = Scene(), experiments()
    scene.display(experiment, Alert("going on from checkpoint.pt"))
    scene.display(experiment, Choice("vmap", "as asked for"))
    scene.display.says("cell 1 of 2: failed")
    assert scene.said == [
        "going on from checkpoint.pt",
        "sine × mlp × maml by vmap: as asked for",
        "cell 1 of 2: failed",
    ]


def test_whoever_draws_does_not_wait_for_the_runs():
    scene, (experiment,) = Scene(), experiments()
    drawn: list[object] = []

    def say(text):  # as rich does, which holds its screen until it has drawn
        drawing = threading.Thread(target=lambda: drawn.append(scene.display.lines()))
        with scene.display._lock:  # as where a signal comes in the midst of an event
            drawing.start()
            drawing.join(timeout=30)

    scene.display.say = say
    scene.display(experiment, Choice("vmap", "as asked for"))
    assert len(drawn) == 1


def test_what_is_counted_has_a_bar():
    scene = Scene()
    scene.display.counts("check task sine: finite", 3, 12)
    scene.clock.now = 6
    assert scene.look() == ["check task sine: finite ━━━━━━━━━━──────────────────────────────  25%  0:18 left"]


def emulated(output: str) -> list[str]:
    """What a terminal shows after all of an output: only what rich's bars use of it is known."""
    lines, row = [""], 0
    for token in re.findall(r"\x1b\[\??[\d;]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", output):
        if token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token.endswith("A") and token.startswith("\x1b"):
            row -= int(token[2:-1] or 1)
        elif token == "\x1b[2K":
            lines[row] = ""
        elif not token.startswith(("\x1b", "\r")):
            lines[row] += token
    return [line.rstrip() for line in lines if line.strip()]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.usefixtures("no_figures")
def test_no_bar_of_a_finished_cell_stays_in_a_terminal(cli, terminal):
    quick = [word for name, value in QUICK.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    said = cli("sweep", "--algorithm.inner-lr", "0.01,0.05", *quick, "--out", "all").stderr
    assert "2 cells, " in said
    first, second, saved = emulated(said)
    assert re.match(r"cell 1 of 2: inner_lr=0\.01: valid mse \d", first)
    assert re.match(r"cell 2 of 2: inner_lr=0\.05: valid mse \d", second)
    assert saved == "saved: all"


@pytest.mark.usefixtures("no_figures")
def test_progress_from_python_is_that_of_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mamlzoo.run(progress=True, out="one", **QUICK)
    assert capsys.readouterr().err == "sine × mlp × maml by loop: as asked for\n"
    mamlzoo.resume("one", progress=True)
    mamlzoo.compare(algorithm=["maml", "scratch"], progress=True, **QUICK)
    mamlzoo.compare(algorithm=["maml", "scratch"], progress=True, out="both", **QUICK)
    assert capsys.readouterr().err == 2 * "sine × mlp × maml by loop: as asked for\n"
    mamlzoo.sweep({"algorithm.inner_lr": [0.01, 0.05]}, progress=True, out="all", **QUICK)
    printed = capsys.readouterr()
    assert re.fullmatch(r"(cell \d of 2: inner_lr=\S+: valid mse .*\n){2}", printed.err)
    assert printed.out == ""


def test_in_a_notebook_lines_are_its_output_and_the_bar_is_a_piece_that_changes_and_goes(monkeypatch, capsys):
    shown = []
    piece = SimpleNamespace(update=shown.append)
    notebook = SimpleNamespace(HTML=str, display=lambda html, display_id: piece)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=notebook))
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    with _in_notebook() as watcher:
        watcher.says("cell 1 of 2: <failed>")
        watcher.counts("check <sine>", 1, 2)
        while not shown:
            time.sleep(0.01)
    assert capsys.readouterr().out == "cell 1 of 2: <failed>\n"
    assert re.match(r"<pre>check &lt;sine&gt; ━{20}─{20}  50%  0:0\d left</pre>$", shown[0])
    assert shown[-1] == ""


def test_progress_that_is_false_says_nothing_and_what_is_no_function_is_refused(capsys):
    mamlzoo.run(progress=False, **QUICK)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(
        UsageError, match="^progress is 'yes'; it must be True for a bar, or a function, called with the experiment"
    ):
        mamlzoo.run(progress="yes", **QUICK)
    with pytest.raises(UsageError, match="called with how much is done, and of how much$"):
        mamlzoo.verify(progress="yes")


def test_printing_what_happens_prints_what_a_person_can_read(capsys):
    mamlzoo.run(progress=print, seeds=2, validate_every=2, **QUICK)
    printed = capsys.readouterr().out.splitlines()
    assert max(map(len, printed)) < 120
    assert "tensor" not in str(printed)
    assert "array" not in str(printed)
    assert all(line.startswith("sine × mlp × maml ") for line in printed)
    told = "\n".join(line.removeprefix("sine × mlp × maml ") for line in printed)
    assert told.startswith("checkpoint at meta-step 0\nby loop: as asked for\n")
    assert re.search(r"^meta-step 1: meta-loss \d\.\d+, means of 2 seeds$", told, re.M)
    assert re.search(r"^meta-step 2: validation mse \d\.\d+, mean of 2 seeds$", told, re.M)
    assert re.search(r"^evaluated 2 of \d+$", told, re.M)
