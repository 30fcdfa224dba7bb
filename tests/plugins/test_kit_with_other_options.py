"""The conformance kit on algorithms whose options make another method of them."""

from __future__ import annotations

import pytest

from mamlzoo.testing import outcomes_of
from mamlzoo_algorithms.least_squares import LeastSquares
from mamlzoo_algorithms.matching_networks import MatchingNetworks
from mamlzoo_algorithms.recurrent import Recurrent
from mamlzoo_algorithms.relation_networks import RelationNetworks

CASES = {
    "matching networks in full context": MatchingNetworks(context_steps=2),
    "relation networks by the task's loss": RelationNetworks(pool="mean", loss="task"),
    "a recurrent learner that reads in any order": Recurrent(shuffle=True),
    "the mean of the targets": LeastSquares(degree=0),
    "a cubic with a ridge": LeastSquares(degree=3, ridge=0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_kit_finds_nothing(name):
    found = {o.check.name: o.finding for o in outcomes_of(CASES[name]) if o.verdict == "failed"}
    assert not found
