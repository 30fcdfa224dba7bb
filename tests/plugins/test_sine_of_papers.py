"""The sine waves of papers: their ranges, and that what a person says goes before what a paper has."""

from __future__ import annotations

import math

import pytest
import torch

import mamlzoo
from mamlzoo import trees
from mamlzoo.contracts.options import options_of
from mamlzoo.errors import UsageError
from mamlzoo_tasks.sine import Sine
from mamlzoo_tasks.sine_of_papers import ALPaCASine, CAVIASine, DKTSine, MAMLSine, MetaSGDSine, NotebookSine

PAPERS = {
    MAMLSine: {"phase_min": -math.pi, "phase_max": 0.0},
    CAVIASine: {"phase_min": -math.pi, "phase_max": 0.0, "test_points": 100},
    MetaSGDSine: {
        "shots": 5, "test_points": 100, "phase_max": math.pi, "frequency_min": 0.8, "frequency_max": 1.2,
    },
    DKTSine: {"shots": 5, "queries": 5, "test_points": 200, "noise": 0.1, "phase_max": math.pi},
    ALPaCASine: {"shots": mamlzoo.Range(1, 10), "queries": 20, "noise": 0.1414213562373095, "phase_max": 3.14},
    NotebookSine: {"pool": 10_000},
}  # fmt: skip
"""What differs from `sine`, by paper."""


def sample(task, split):
    return task.sample(20, split=split, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_a_papers_waves_are_those_of_sine_with_its_ranges(paper, split):
    for found, expected in zip(
        trees.leaves(sample(paper(), split)), trees.leaves(sample(Sine(**PAPERS[paper]), split)), strict=True
    ):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_a_paper_has_the_options_of_sine_in_the_same_words(paper):
    assert {name: one.help for name, one in options_of(paper).items()} == {
        name: one.help for name, one in options_of(Sine).items()
    }


def test_what_is_said_goes_before_what_the_paper_has():
    assert CAVIASine(test_points=7).test_points == 7
    with pytest.raises(UsageError, match="task 'sine-cavia': test_points must be at least 1, not 0"):
        CAVIASine(test_points=0)
    with pytest.raises(UsageError, match="task 'sine-cavia': phase_min must not exceed phase_max, 1 > 0"):
        CAVIASine(phase_min=1.0)


def test_a_phase_that_is_taken_off_begins_at_minus_pi():
    # y = A·sin(x − φ) with φ in [0, π] is not above 0 at x = 0.
    task = MAMLSine()
    y = sample(task.on_grid(3), "test").query.y[:, 1]
    assert float(y.max()) <= 1e-5
    assert float(y.min()) < -1
