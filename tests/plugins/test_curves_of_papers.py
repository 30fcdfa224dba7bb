"""The curves of papers: those of `sine` and `gp` with their ranges, and what a person says goes before these."""

from __future__ import annotations

import math

import pytest
import torch

from mamlzoo import Range, UsageError, trees
from mamlzoo.contracts.options import options_of
from mamlzoo_tasks.gp import GP
from mamlzoo_tasks.gp_of_papers import ANPGP, CNPGP, TNPGP, WeaklyPeriodicGP
from mamlzoo_tasks.sine import Sine
from mamlzoo_tasks.sine_of_papers import ALPaCASine, CAVIASine, DKTSine, MAMLSine, MetaSGDSine, NotebookSine

SINES = {
    MAMLSine: {"phase_min": -math.pi, "phase_max": 0.0},
    CAVIASine: {"phase_min": -math.pi, "phase_max": 0.0, "test_points": 100},
    MetaSGDSine: {
        "shots": 5, "test_points": 100, "phase_max": math.pi, "frequency_min": 0.8, "frequency_max": 1.2,
    },
    DKTSine: {"shots": 5, "queries": 5, "test_points": 200, "noise": 0.1, "phase_max": math.pi},
    ALPaCASine: {"shots": Range(1, 10), "queries": 20, "noise": 0.1414213562373095, "phase_max": 3.14},
    NotebookSine: {"pool": 10_000},
}  # fmt: skip
"""What differs from `sine`, by paper."""
PROCESSES = {
    WeaklyPeriodicGP: {"kernel": "weakly-periodic", "length_min": 0.5, "length_max": 0.5},
    CNPGP: {"shots": Range(3, 9), "queries": 10, "noise": 0.02, "length_min": 0.4, "length_max": 0.4},
    ANPGP: {"shots": Range(3, 49), "noise": 0.02, "length_min": 0.1, "length_max": 0.6, "scale_min": 0.1},
    TNPGP: {
        "shots": Range(3, 46), "queries": 46, "test_points": 46, "noise": 0.02, "length_min": 0.1, "length_max": 0.6,
        "scale_min": 0.1, "period_min": 0.1, "period_max": 0.5,
    },
}  # fmt: skip
"""What differs from `gp`, by paper."""
PAPERS = [
    pytest.param(paper, of, differs, id=paper.name)
    for of, papers in ((Sine, SINES), (GP, PROCESSES))
    for paper, differs in papers.items()
]


def sample(task, split):
    return task.sample(20, split=split, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("paper", "of", "differs"), PAPERS)
def test_a_papers_curves_are_those_of_the_task_with_its_ranges(paper, of, differs, split):
    assert trees.equal(sample(paper(), split), sample(of(**differs), split))


@pytest.mark.parametrize(("paper", "of", "differs"), PAPERS)
def test_a_paper_has_the_options_of_the_task_in_the_same_words(paper, of, differs):
    found, expected = ({name: one.help for name, one in options_of(cls).items()} for cls in (paper, of))
    assert found == expected


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
