"""Checks of what claims to be −log of a density: exp(−loss) must have the integral 1 over all targets.

A ½ that is missing, a log-determinant that comes twice and a forgotten √(2π) all change that integral.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Batch, Episode
from mamlzoo.contracts.plugins import MetaAlgorithm, Task
from mamlzoo.engine.binding import Bound
from mamlzoo.testing.bound_probes import bound_to_probe, drawn_episodes
from mamlzoo.testing.checks import check, require
from mamlzoo.testing.quadrature import GRIDS, integral, total

CLAIM = "log-likelihood"
TOLERANCE = 1e-3
DRAWS = 2
"""Predictions, or episodes, that are tried: one might have the integral 1 by chance."""


@check("task", concerns=lambda task: CLAIM in task.claims)
def loss_is_a_log_likelihood(task: Task) -> None:
    """As it claims, the loss is −log of a density of the target: exp(−loss) of one example has the integral 1.

    Of a Gaussian look for the ½ of the square, for log σ and for ½·log 2π, of more numbers for a log-determinant that
    comes twice. Where constants are left out on purpose, take 'log-likelihood' out of `claims`. (A regression of more
    than two numbers is not tried.)
    """
    classifies = task.spec.kind == "classification"
    size = task.spec.output_size if classifies else task.spec.target_shape[0]
    if not classifies and size not in GRIDS:
        return
    for seed in range(DRAWS):
        generator = torch.Generator().manual_seed(seed)
        prediction = torch.randn(1, task.spec.output_size, generator=generator, dtype=torch.float64)

        def loss(target: Tensor, prediction: Tensor = prediction) -> Tensor:
            return task.loss(prediction, target if classifies else target[None])

        # Of several numbers a loss may be the sum, or the mean.
        found = [total(loss, size, 1)] if classifies else [integral(loss, size, times) for times in {1, size}]
        one = any(abs(value - 1) < TOLERANCE for value in found)
        require(one, f"exp(−loss) has the integral {found[0]:.4g} over all targets of an example, and a density has 1")


@check("algorithm", concerns=lambda algorithm: algorithm.trains and CLAIM in algorithm.claims)
def meta_loss_is_a_log_likelihood(algorithm: MetaAlgorithm) -> None:
    """As it claims, the meta-loss is −log of a density of targets: exp(−meta-loss) has the integral 1 over them.

    Of a Gaussian process look for ½ before the log-determinant and before the square, once each, and for ½·log 2π; or
    take 'log-likelihood' out of `claims`.
    """
    bound, episodes = bound_to_probe(algorithm, dtype=torch.float64), drawn_episodes(algorithm, DRAWS)
    drawn = [trees.index(episodes, at) for at in range(DRAWS)]
    of_query = [_total(bound, episode, joint=False) for episode in drawn]
    if all(abs(value - 1) < TOLERANCE for value in of_query):
        return
    for times in (1, 2):  # the whole, or divided by the number of targets, which are two
        if all(abs(_total(bound, episode, joint=True, times=times) - 1) < TOLERANCE for episode in drawn):
            return
    require(
        False,
        f"exp(−meta-loss) has the integral {of_query[0]:.4g} over all targets of a query point, where a density has 1; "
        "nor has it 1 over those of a support and a query point",
    )


def _total(bound: Bound, episode: Episode, *, joint: bool, times: int = 1) -> float:
    """∫ exp(−times · meta-loss) over the target of one query point; or of one support point too, the only one."""
    (x, y), query_x = episode.support, episode.query.x[:1]
    learner, meta, spec = bound.learner, trees.index(bound.meta, 0), bound.learner.spec

    def loss(targets: Tensor) -> Tensor:
        shaped = targets if spec.kind == "classification" else targets.reshape(-1, spec.output_size)
        support = Batch(x[:1], shaped[:1]) if joint else Batch(x, y)
        given = Episode(support, Batch(query_x, shaped[-1:]))
        return bound.algorithm.meta_loss(learner, meta, given, torch.tensor(0.5, dtype=torch.float64))[0]

    if spec.kind == "classification":
        return total(loss, spec.output_size, 1 + joint, times)
    return integral(loss, spec.output_size * (1 + joint), times)
