"""Each check finds a plugin that breaks just its promise, and no other check does."""

from __future__ import annotations

import faulty_algorithms
import faulty_models
import faulty_tasks
import pytest
import right_methods
from test_planted_mistakes import MISTAKES
from torch import nn

from mamlzoo.testing import checks_of, outcomes_of
from mamlzoo.testing.kit import CHECKS
from mamlzoo.testing.probes import Lines

FAULTY = [*faulty_tasks.FAULTY, *faulty_models.FAULTY, *faulty_algorithms.FAULTY]


@pytest.mark.parametrize("good", [Lines(), faulty_models.Perceptron(), faulty_algorithms.Good()], ids=lambda p: p.kind)
def test_what_the_faulty_plugins_are_made_from_passes(good):
    assert [outcome.check.name for outcome in outcomes_of(good) if outcome.verdict != "passed"] == []


class Dropping(faulty_models.Perceptron):
    """Drops some of its units."""

    name = "dropping"

    def middle(self):
        return nn.Sequential(nn.Tanh(), nn.Dropout(0.3))


def test_a_network_with_dropout_passes():
    assert [outcome.finding for outcome in outcomes_of(Dropping()) if outcome.verdict != "passed"] == []


@pytest.mark.slow
@pytest.mark.parametrize("right", right_methods.RIGHT, ids=lambda cls: cls.__name__)
def test_a_right_method_of_the_field_passes(right):
    assert [outcome.finding for outcome in outcomes_of(right()) if outcome.verdict != "passed"] == []


@pytest.mark.parametrize(
    "right", [faulty_tasks.Gaussian, faulty_tasks.Kinds, faulty_tasks.Pixels], ids=lambda cls: cls.__name__
)
def test_a_right_task_passes(right):
    assert [outcome.finding for outcome in outcomes_of(right()) if outcome.verdict != "passed"] == []


@pytest.mark.parametrize("layer", [nn.BatchNorm1d, nn.LayerNorm, nn.PReLU], ids=lambda layer: layer.__name__)
def test_a_layer_that_torch_batches_wrongly_and_a_run_composes_passes(layer):
    class Composed(faulty_models.Perceptron):
        """With that layer in its middle."""

        def middle(self):
            return layer(5)

    assert [outcome.finding for outcome in outcomes_of(Composed()) if outcome.verdict != "passed"] == []


def of_faults(faults):
    return pytest.mark.parametrize(("name", "faulty"), faults, ids=[f"{name}-{cls.__name__}" for name, cls in faults])


PLANTED = {(name, mistake.plugin) for mistake in MISTAKES for name in mistake.found}
"""Of these `test_planted_mistakes.py` holds the same, and what is said of them."""


@of_faults([fault for fault in FAULTY if fault not in PLANTED])
def test_a_fault_is_found_by_its_check(name, faulty):
    plugin = faulty()
    (check,) = (check for check in checks_of(plugin) if check.name == name)
    assert check.of(plugin).verdict == "failed"


@pytest.mark.slow
@of_faults(FAULTY)
def test_a_fault_is_found_by_its_check_and_by_no_other(name, faulty):
    failed = {outcome.check.name: outcome.finding for outcome in outcomes_of(faulty()) if outcome.verdict == "failed"}
    assert list(failed) == [name], failed


def test_every_check_has_a_faulty_plugin_of_every_kind():
    found = {(name, cls.kind) for name, cls in FAULTY}
    assert found == {(check.name, kind) for check in CHECKS for kind in check.kinds}
