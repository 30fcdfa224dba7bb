"""Checks of meta-algorithms that classify."""

from __future__ import annotations

import math

import torch

from mamlzoo import trees
from mamlzoo.contracts.data import Batch
from mamlzoo.contracts.distributions import points_of
from mamlzoo.contracts.inner_loop import adapt
from mamlzoo.contracts.plugins import MetaAlgorithm
from mamlzoo.engine.binding import Bound
from mamlzoo.errors import UsageError
from mamlzoo.testing import probes
from mamlzoo.testing.bound_probes import bound_to_probe, drawn_episodes
from mamlzoo.testing.checks import check, require

ABSENT = 2
"""The class of three that has no support point."""
EPISODES, TIMES, STEPS = 4, 3, 2
"""Where a class has more support points: episodes, how often its points come, and adaptation steps."""
LEARNED = 0.9
"""Of the loss of guessing: what tells classes apart before any meta-training, as class means do, is below it."""


@check("algorithm")
def a_class_may_be_absent(algorithm: MetaAlgorithm) -> None:
    """A class without a support point leaves every class's probability a number.

    Beware of a mean over no points, 0 / 0: divide by count.clamp(min=1). Its own logit may be −∞, probability 0.
    """
    bound = _bound(algorithm)
    if bound is None:
        return
    episode = trees.index(drawn_episodes(algorithm, 1, torch.float32, probes.Clusters()), 0)
    there = episode.support.y != ABSENT
    support = Batch(episode.support.x[there], episode.support.y[there])
    learner, meta = bound.learner, trees.index(bound.meta, 0)
    for steps in (0, 1):
        fast = adapt(algorithm, learner, meta, support, steps)
        shares = points_of(algorithm.predict(learner, meta, fast, episode.query.x)).softmax(-1)
        wrong = int(shares.isnan().any(1).sum())
        require(
            not wrong,
            f"where class {ABSENT} of 3 has no support point, {wrong} of {len(shares)} predictions after {steps} "
            "adaptation steps give probabilities that are NaN",
        )


@check("algorithm")
def more_of_a_class_makes_it_likelier(algorithm: MetaAlgorithm) -> None:
    """Where the support points of one class come three times, their class gets no less likely there, in the mean.

    Divide a sum over a class's points by how many points that class has, not by the shots that all classes should have.
    """
    bound = _bound(algorithm)
    if bound is None:
        return
    learner, meta = bound.learner, trees.index(bound.meta, 0)
    episodes, losses = drawn_episodes(algorithm, EPISODES, torch.float32, probes.Clusters()), []
    for at in range(EPISODES):
        support = trees.index(episodes, at).support
        for label in range(learner.spec.output_size):
            own = Batch(support.x[support.y == label], support.y[support.y == label])
            repeated = [support, *[own] * (TIMES - 1)]
            more = Batch(torch.cat([batch.x for batch in repeated]), torch.cat([batch.y for batch in repeated]))
            fasts = [adapt(algorithm, learner, meta, given, STEPS) for given in (support, more)]
            predictions = [points_of(algorithm.predict(learner, meta, fast, own.x)) for fast in fasts]
            if list(predictions[0].shape) != [len(own.x), learner.spec.output_size]:
                return  # which has a check of its own
            losses.append([learner.criterion(prediction, own.y).item() for prediction in predictions])
    before, after = torch.tensor(losses).mean(0).tolist()
    if not before < LEARNED * math.log(learner.spec.output_size):  # it is to learn first how labels are read
        return
    require(
        after <= before + 1e-4,
        f"the loss on a class's own support points is {before:.4g}, and {after:.4g} where they come {TIMES} times",
    )


def _bound(algorithm: MetaAlgorithm) -> Bound | None:
    """The algorithm bound to a classification, if it takes one."""
    try:
        return bound_to_probe(algorithm, task=probes.Clusters())
    except UsageError:
        return None
