"""The few algorithms that stand for all have every trait, and one that fails stands for itself."""

from __future__ import annotations

import pytest
from every_algorithm import NAMES, fitting, representatives, traits

SOURCE = '''
    import mamlzoo
    from mamlzoo_algorithms.maml import MAML

    class Picky(MAML):
        """Takes no task there is."""

        name = "picky"

        def networks(self, spec):
            raise mamlzoo.UsageError("not that")

    class Raising(MAML):
        """Fails where it is tried."""

        name = "raising"

        def meta_loss(self, learner, meta, episode, progress):
            raise ValueError("not yet")

    class Drawing(MAML):
        """Draws in a branch of the noise, and for classes alone."""

        name = "drawing"

        def networks(self, spec):
            if spec.kind == "regression":
                raise mamlzoo.UsageError("no regression")
            return super().networks(spec)

        def meta_loss(self, learner, meta, episode, progress):
            loss, logs = super().meta_loss(learner, meta, episode, progress)
            return loss * (1 + 0 * learner.branch(3).noise.uniform()), logs

    @mamlzoo.hookimpl
    def mamlzoo_plugins():
        return [Picky, Raising, Drawing]
'''


@pytest.fixture
def tried(distribution):
    """Algorithms of a third party; forgotten with it."""
    distribution("tried", SOURCE)
    yield
    fitting.cache_clear()
    traits.cache_clear()


def test_every_trait_has_a_representative():
    every = frozenset().union(*map(traits, NAMES))
    assert frozenset().union(*map(traits, representatives())) == every
    assert len(representatives()) <= len(every)


def test_an_algorithm_is_given_the_first_task_that_it_takes():
    assert (fitting("maml").task.name, fitting("protonet").task.name) == ("sine", "blobs")


@pytest.mark.usefixtures("tried")
def test_an_algorithm_that_fails_or_takes_no_task_has_a_trait_of_its_own():
    assert traits("raising") == {"raising fails"}
    assert traits("picky") == {"picky fails"}
    with pytest.raises(
        AssertionError, match="algorithm 'picky' refuses every installed task: sine: not that; blobs: not"
    ):
        fitting("picky")


@pytest.mark.usefixtures("tried")
def test_draws_are_seen_in_any_branch_and_as_those_of_training():
    assert fitting("drawing").task.name == "blobs"
    assert {"exact", "classification by steps", "random in training"} <= traits("drawing")
    assert "random in predictions" not in traits("drawing")
