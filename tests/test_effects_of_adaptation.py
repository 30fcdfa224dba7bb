"""What the table of a test says of adaptation besides its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from mamlzoo.experiments.metrics import Evaluation

TASKS = np.random.default_rng(0).normal(size=(3, 50, 1)).astype(np.float32)
"""What each of 3 seeds finds on each of 50 test tasks, before adaptation."""


def evaluation_of(*changes, metric="mse", seeds=3, rows=None, higher_is_better=False):
    """A test whose metric changes by so much with each further step, on every task."""
    values = np.concatenate([TASKS[:seeds] + total for total in np.cumsum([0, *changes])], -1)
    return Evaluation({metric: values}, range(seeds) if rows is None else rows, higher_is_better)


def test_each_number_of_steps_has_a_row():
    assert [row[0] for row in evaluation_of(-1, -1).table().rows] == ["0", "1", "2"]


def test_where_steps_change_nothing_there_is_one_row_and_a_line():
    table = evaluation_of(0, 0).table()
    assert [row[0] for row in table.rows] == ["0 to 2"]
    assert "adaptation steps change nothing" in table.notes


@pytest.mark.parametrize("rows", [(), (0, 2)])
def test_a_seed_that_does_not_count_is_not_asked_whether_steps_change_anything(rows):
    evaluation = evaluation_of(0, 0, rows=rows)
    evaluation.main[1, 0, 1] = np.nan
    assert ("adaptation steps change nothing" in evaluation.table().notes) == bool(rows)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(("metric", "worse"), [("mse", 1), ("accuracy", -1)])
def test_where_adaptation_makes_it_worse_a_line_says_so(seeds, metric, worse):
    def said(change):
        notes = evaluation_of(change, seeds=seeds, metric=metric, higher_is_better=metric == "accuracy").table().notes
        return any(note.startswith(f"adaptation makes it worse: {metric} ") for note in notes)

    assert said(worse)
    assert not said(-worse)


def test_what_may_be_chance_is_not_called_worse():
    evaluation = evaluation_of(0, seeds=1)
    evaluation.main[..., 1] += np.random.default_rng(1).normal(0.1, 1, evaluation.main.shape[:2])
    assert not [note for note in evaluation.table().notes if "worse" in note]


def test_one_task_says_nothing_of_chance():
    evaluation = Evaluation({"mse": TASKS[:1, :1] + np.array([0.0, 1.0], np.float32)}, (0,))
    assert not [note for note in evaluation.table().notes if "worse" in note]
