"""Checks of meta-algorithms that classify."""

from __future__ import annotations

import torch

from mamlzoo import trees
from mamlzoo.contracts.data import Batch
from mamlzoo.contracts.distributions import points_of
from mamlzoo.contracts.inner_loop import adapt
from mamlzoo.contracts.plugins import MetaAlgorithm
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.errors import UsageError
from mamlzoo.testing import probes
from mamlzoo.testing.checks import check, require

ABSENT = 2
"""The class of three that has no support point."""


@check("algorithm")
def a_class_may_be_absent(algorithm: MetaAlgorithm) -> None:
    """A class without a support point leaves every class's probability a number.

    Beware of a mean over no points, 0 / 0: divide by count.clamp(min=1). Its own logit may be −∞, probability 0.
    """
    task = probes.Clusters()
    try:
        bound = bind_seeds(task, probes.model(probes.plain), algorithm, (0,), torch.device("cpu"))
    except UsageError:  # it does not classify
        return
    episode = trees.index(task.sample(1, split="train", generator=torch.Generator().manual_seed(0)), 0)
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
