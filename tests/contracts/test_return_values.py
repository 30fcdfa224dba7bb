"""What a task gives back is held against its spec, to the last axis."""

from __future__ import annotations

import pytest
import torch

import mamlzoo
from mamlzoo import Spec
from mamlzoo.engine.episodes import TestSet, draw
from mamlzoo.errors import PluginError
from mamlzoo.testing.probes import Lines

CPU = torch.device("cpu")


class Wide(Lines):
    """Promises three targets and gives one, which would broadcast silently."""

    spec = Spec((1,), 3)


class Labelled(Lines):
    """Class labels with an axis too many."""

    spec = Spec((1,), 2, "classification")


class Misspelt(Lines):
    """A kind of spec that there is not."""

    spec = Spec((1,), 1, "regresion")


class NoValidation(Lines):
    """Has nothing to validate on."""

    def sample(self, count, *, split, generator):
        if split == "valid":
            raise FileNotFoundError("valid.csv")
        return super().sample(count, split=split, generator=generator)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            Wide(),
            r"support.y of shape \[4, 5, 1\] beside x of shape \[4, 5, 1\]; it must be .*output size\], \[4, 5, 3\]",
        ),
        (Labelled(), r"it must be \[episodes, examples\], \[4, 5\]"),
    ],
)
def test_targets_of_another_shape_than_the_specs_are_refused(task, said):
    with pytest.raises(PluginError, match=said):
        draw(task, 4, 0, "train", 0, CPU)


def test_a_kind_of_spec_that_there_is_not_is_refused():
    with pytest.raises(PluginError, match="its spec's kind must be 'regression' or 'classification', not 'regresion'"):
        mamlzoo.run(Misspelt(), iterations=1, test_tasks=1)


def test_validation_is_tried_before_anything_is_trained():
    trained = []
    with pytest.raises(PluginError, match=r"valid\.csv"):
        mamlzoo.run(
            NoValidation(), iterations=2, validate_every=1, test_tasks=1, progress=lambda *event: trained.append(event)
        )
    assert trained == []


class Bounded(mamlzoo.GradientDescent):
    """Steps of one length, whatever the gradient: φ stays finite at any rate, and the network does not."""

    name = "bounded"

    def adapt(self, learner, meta, fast, support):
        return mamlzoo.sgd(fast, {n: g.sign() for n, g in learner.gradient(fast, support).items()}, self.inner_lr)

    def meta_loss(self, learner, meta, episode, progress):
        return learner.loss(self.adapt(learner, meta, meta["network"], episode.support), episode.query), {}


def test_a_rate_too_large_is_an_outcome_also_where_phi_stays_finite():
    result = mamlzoo.run(Lines(), "mlp", Bounded(inner_lr=1e20), iterations=2, test_tasks=2, plan="vmap")
    assert result.checkpoint.training.diverged == {0: 0}


def test_a_finite_set_of_test_episodes_is_drawn_once():
    class Three(Lines):
        """Three test lines."""

        spec = Spec((1,), 1, test_episodes=3)

        def sample(self, count, *, split, generator):
            drawn.append(count)
            return super().sample(count, split=split, generator=generator)

    drawn = []
    tests = TestSet(Three(), 2, 0, CPU)
    first = next(tests.blocks()).support.x
    assert torch.equal(tests.episode(1).support.x, first[1:2])
    assert drawn == [3]
