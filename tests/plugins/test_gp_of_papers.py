"""The Gaussian processes of papers: their kernels and ranges."""

from __future__ import annotations

import pytest
import torch

from mamlzoo import Range, trees
from mamlzoo_tasks.gp import GP
from mamlzoo_tasks.gp_of_papers import ANPGP, CNPGP, TNPGP, WeaklyPeriodicGP

PAPERS = {
    WeaklyPeriodicGP: {"kernel": "weakly-periodic", "length_min": 0.5, "length_max": 0.5},
    CNPGP: {"shots": Range(3, 9), "queries": 10, "noise": 0.02, "length_min": 0.4, "length_max": 0.4},
    ANPGP: {"shots": Range(3, 49), "noise": 0.02, "length_min": 0.1, "length_max": 0.6, "scale_min": 0.1},
    TNPGP: {
        "shots": Range(3, 46), "queries": 46, "test_points": 46, "noise": 0.02, "length_min": 0.1, "length_max": 0.6,
        "scale_min": 0.1, "period_min": 0.1, "period_max": 0.5,
    },
}  # fmt: skip
"""What differs from `gp`, by paper."""


def sample(task, split):
    return task.sample(5, split=split, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_a_papers_curves_are_those_of_gp_with_its_ranges(paper, split):
    for found, expected in zip(
        trees.leaves(sample(paper(), split)), trees.leaves(sample(GP(**PAPERS[paper]), split)), strict=True
    ):
        assert torch.equal(found, expected)
