"""Checks that meta-algorithms are pure functions of what they are given."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, MetaParams
from mamlzoo.contracts.distributions import points_of
from mamlzoo.contracts.inner_loop import adapt
from mamlzoo.contracts.plugins import MetaAlgorithm, Model
from mamlzoo.engine import purity
from mamlzoo.engine.binding import Bound, bind_seeds, built_with
from mamlzoo.engine.generators import Generators
from mamlzoo.engine.inspection import foreign_tensors
from mamlzoo.runs.name_resolution import plugin
from mamlzoo.testing import probes
from mamlzoo.testing.bound_probes import STEPS, bound_to_probe, drawn_episode, drawn_episodes
from mamlzoo.testing.checks import check, require
from mamlzoo.testing.continuity import require_continuous


@check("algorithm")
def same_inputs_give_same_outputs(algorithm: MetaAlgorithm) -> None:
    """Called twice with the same θ and episode it gives the same φ, predictions, meta-loss and logs, to the bit.

    Draw by learner.noise alone, read no clock, and keep nothing between calls.
    """
    bound, episode = _bound(algorithm)
    learner, meta = bound.learner, trees.index(bound.meta, 0)
    results = []
    for state in (0, 1):
        with purity.repeating(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(state)
            before = Generators.now()
            fast = adapt(algorithm, learner, meta, episode.support, STEPS)
            results.append(
                {
                    "φ": fast,
                    "the prediction": algorithm.predict(learner, meta, fast, episode.query.x),
                    "the meta-loss, or a log": algorithm.meta_loss(learner, meta, episode, torch.tensor(0.5)),
                }
            )
            drawn = " and ".join(before.drawn_from())
            require(not drawn, f"it draws random numbers from {drawn} generator")
    for name, value in results[0].items():
        same = trees.equal(value, results[1][name])
        require(same, f"{name} differs between two calls with the same inputs")


@check("algorithm")
def depends_on_theta_and_constants_alone(algorithm: MetaAlgorithm) -> None:
    """What it gives depends on θ, φ, the constants and the episode: on no tensor of its own, and on none of a module.

    Put what is learned into θ by `init`, call networks by learner.predict, and take constants from learner.constants:
    learner.networks is for their structure alone.
    """
    bound, episode = _bound(algorithm)
    fault = foreign_tensors(bound, built_with(bound, _model(), 1), episode)
    require(fault is None, f"its results depend on {fault and fault.what}")


@check("algorithm")
def nearby_episodes_give_nearby_results(algorithm: MetaAlgorithm) -> None:
    """In float64 the meta-loss and the predictions hardly change where θ and the episode hardly change.

    Make no noise of a tensor's own digits, as by a hash of them, and round nothing that a result depends on.
    """
    bound, episodes = bound_to_probe(algorithm, dtype=torch.float64), drawn_episodes(algorithm, 1)
    learner, progress = bound.learner, torch.tensor(0.5, dtype=torch.float64)

    def meta_loss(given: tuple[MetaParams, Episode]) -> Tensor:
        return algorithm.meta_loss(learner, *given, progress)[0]

    def prediction(given: tuple[MetaParams, Episode]) -> Tensor:
        meta, episode = given
        fast = adapt(algorithm, learner, meta, episode.support, STEPS)
        return points_of(algorithm.predict(learner, meta, fast, episode.query.x))

    given = trees.index(bound.meta, 0), trees.index(episodes, 0)
    require_continuous("the meta-loss", meta_loss, given)
    require_continuous("the prediction", prediction, given)


def _model() -> Model:
    return cast(Model, plugin("model", probes.plain))


def _bound(algorithm: MetaAlgorithm) -> tuple[Bound, Episode]:
    task = probes.task_for(algorithm)
    bound = bind_seeds(task, _model(), algorithm, (0,), torch.device("cpu"))
    return bound, drawn_episode(algorithm)
