"""Every table of results says which of them are transductive, and of no other."""

from __future__ import annotations

import pytest

import mamlzoo
from mamlzoo.contracts import recipe_files
from mamlzoo.experiments.transduction import transductive_notes
from mamlzoo.reproductions.reproduction import reproduce
from mamlzoo_models.mlp import MLP

pytestmark = pytest.mark.usefixtures("no_figures")

SAID = "transductive: batch norm sees the statistics of all query inputs of an episode at once"
TINY = {"iterations": 2, "meta_batch": 2, "test_tasks": 4, "test_steps": 1, "plan": "loop"}
RANKED = """
name = "ranked"
version = 1
summary = "with batch norm and without"
source = "made up"
minutes = 0.1

[common]
task = "sine"
model = "mlp"
algorithm = "fomaml"
seeds = 1
iterations = 1
test_tasks = 4
test_steps = 1
plan = "loop"

[runs.normed]
options = { "model.norm" = "batch" }

[runs.plain]
options = { "model.norm" = "none" }

[rankings.which]
title = "which one?"
runs = ["normed", "plain"]
"""


def said_of(notes):
    return [note.removesuffix(SAID) for note in map(str, notes) if note.endswith(SAID)]


NORMED = MLP(hidden=(4,), norm="batch")


@pytest.fixture(scope="module")
def both():
    return mamlzoo.compare("sine", [NORMED, "mlp"], "fomaml", **TINY)


def test_a_comparison_names_those_that_are(both):
    (who,) = said_of(both.table().notes)
    assert who == f"{both.labels()[0]}: "
    assert [result.is_transductive for result in both.results] == [True, False]


def test_a_page_says_it_beside_the_numbers(both, tmp_path):
    both.report(tmp_path / "page.html")
    assert SAID in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_sweep_names_the_cells_that_are(tmp_path):
    axes = {"model.norm": ["batch", "layer"]}
    found = mamlzoo.sweep(axes, out=tmp_path / "sweep", model="mlp", algorithm="fomaml", **TINY, valid_tasks=4)
    assert said_of(found.table().notes) == ["norm=batch: "]
    assert said_of(mamlzoo.load(tmp_path / "sweep").table().notes) == ["norm=batch: "]


def test_a_ranking_names_the_runs_that_are(tmp_path):
    found = reproduce(recipe_files.parse(RANKED), tmp_path / "ranked")
    assert said_of(found.rankings["which"].table().notes) == ["normed: "]


def test_by_the_statistics_of_the_support_set_nothing_is_transductive():
    result = mamlzoo.run("sine", NORMED, "fomaml", norm_statistics="support", **TINY)
    assert not result.is_transductive
    assert said_of(result.table().notes) == []


def test_where_all_runs_are_their_names_are_not_repeated():
    assert transductive_notes({"a": True, "b": True}) == [SAID]
    assert transductive_notes({"a": False}) == transductive_notes({}) == []
