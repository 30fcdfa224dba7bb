"""What a person sees while several runs go on at the same time."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mamlzoo.cli.progress import Display
from mamlzoo.engine.evaluation import EvaluationProgress
from mamlzoo.engine.plan_choice import Alert, Choice
from mamlzoo.engine.training import TrainingState
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.runs.name_resolution import combined
from mamlzoo.runs.watchers import Part


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def parts(count, noun="run", at_once=1, **settings):
    names = ["maml", "fomaml", "anil", "reptile"][:count]
    several = combined(
        ["sine"], ["mlp"], names, **({"iterations": 100, "test_tasks": 10, "valid_tasks": 10} | settings)
    )
    return [
        Part(noun, at + 1, count * at_once, name, [experiment], at_once)
        for at, (name, experiment) in enumerate(zip(names, several, strict=True))
    ]


class Scene:
    """A display of several parts."""

    def __init__(self, several):
        self.clock, self.said = Clock(), []
        self.display = Display(self.said.append, self.clock)
        self.display.spreads(several)

    def look(self, width=80):
        return [line.drawn(width) for line in self.display.lines()]

    def trained(self, part, step, seconds=0.0):
        self.clock.now += seconds
        self.display(part.left[0], Checkpoint(Choice("vmap", ""), TrainingState(step, {})))

    def tested(self, part, done, seconds=0.0):
        self.clock.now += seconds
        self.display(part.left[0], EvaluationProgress(done, 4))


def test_there_is_one_bar_for_all_and_a_line_of_what_is_being_made():
    maml, fomaml, anil = several = parts(3, iterations=10_000)
    scene = Scene(several)
    assert scene.look()[0].startswith("3 runs, 0 done ─")
    for part in (maml, fomaml):
        scene.display.begins(part)
        scene.trained(part, 0)
    scene.trained(maml, 5000)
    scene.trained(fomaml, 2500)
    first, second = scene.look()
    assert re.fullmatch(r"3 runs, 0 done ━+─+  24%.*", first)
    assert second == "now:  maml 49% · fomaml 24%"
    scene.trained(maml, 10_000)
    scene.tested(maml, 4)
    scene.display.ends(maml)
    scene.display.begins(anil)
    assert scene.look()[0].startswith("3 runs, 1 done ━")
    assert scene.look()[1] == "now:  fomaml 24% · anil 0%"
    assert scene.look(20)[1] == "now:  fomaml 24%"


def test_the_time_left_is_of_all_of_them_and_counts_what_goes_on_at_once():
    several = parts(4)
    scene, work = Scene(several), several[0]
    for part in several:
        scene.display.begins(part)
        scene.trained(part, 0, 5.0)  # until processes have begun
    assert "left" not in scene.look()[0]
    for step in range(10, 60, 10):
        for part in several:
            scene.trained(part, step, 0.25)  # all four a step in a tenth of a second
    assert work.left[0].settings.iterations == 100
    minutes, seconds = re.search(r"(\d+):(\d\d) left", scene.look()[0]).groups()
    assert 4 <= 60 * int(minutes) + int(seconds) <= 8


def test_what_was_made_before_is_no_pace():
    several = parts(2, iterations=1000)
    scene = Scene(several)
    for part in several:
        scene.display.begins(part)
        scene.trained(part, 900)  # gone on with
    for step in range(901, 911):
        for part in several:
            scene.trained(part, step, 0.5)
    minutes, seconds = re.search(r"(\d+):(\d\d) left", scene.look()[0]).groups()
    assert 80 <= 60 * int(minutes) + int(seconds) <= 130


def test_a_share_that_was_shown_does_not_fall_when_a_part_is_tried_once_more():
    (part, other) = several = parts(2)
    scene = Scene(several)
    scene.display.begins(part)
    scene.trained(part, 0)
    scene.trained(part, 100)
    before = re.search(r"(\d+)%", scene.look()[0])[1]
    scene.display.begins(part)
    assert re.search(r"(\d+)%", scene.look()[0])[1] == before
    assert scene.look()[1] == "now:  maml 0%"
    scene.display.ends(other)


def test_a_group_of_cells_counts_as_so_many_and_is_named_by_its_first():
    first, _ = several = parts(2, noun="cell", at_once=3, validate_every=50)
    scene = Scene(several)
    scene.display.begins(first)
    scene.trained(first, 50)
    scene.display(first.left[0], ValidationRecord(50, "mse", np.ones(1)))
    assert scene.look()[1].startswith("now:  maml and 2 more ")
    scene.display.ends(first)
    assert scene.look()[0].startswith("6 cells, 3 done ")


def test_a_remark_says_of_which_run_it_is_and_a_plan_is_told_of_runs_alone():
    (run, _), (cell, _) = parts(2), parts(2, noun="cell")
    for part, told in ((run, ["sine × mlp × maml by vmap: as asked for"]), (cell, [])):
        scene = Scene([part])
        scene.display.begins(part)
        scene.display(part.left[0], Choice("vmap", "as asked for"))
        scene.display(part.left[0], Alert("a damaged file"))
        assert scene.said == [*told, "maml: a damaged file"]


@pytest.mark.parametrize("width", [60, 100])
def test_when_all_are_over_what_comes_next_is_shown_as_ever(width):
    several = parts(2)
    scene = Scene(several)
    scene.display.spreads([])
    assert scene.look(width) == []
    scene.display.begins(several[0]._replace(left=[part.left[0] for part in several]))
    assert scene.look(width)[0].startswith("2 runs, 0 done")
