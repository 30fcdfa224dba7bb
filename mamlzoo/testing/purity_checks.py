"""Checks that meta-algorithms are pure functions of what they are given."""

from __future__ import annotations

from typing import cast

import torch

from mamlzoo import trees
from mamlzoo.contracts.data import Episode
from mamlzoo.contracts.inner_loop import adapt
from mamlzoo.contracts.plugins import MetaAlgorithm, Model
from mamlzoo.engine import purity
from mamlzoo.engine.binding import Bound, bind_seeds, built_with
from mamlzoo.engine.generators import Generators
from mamlzoo.engine.inspection import foreign_tensors
from mamlzoo.runs.name_resolution import plugin
from mamlzoo.testing import probes
from mamlzoo.testing.checks import check, require

STEPS = 2
"""Adaptation steps."""


@check("algorithm")
def same_inputs_give_same_outputs(algorithm: MetaAlgorithm) -> None:
    """Called twice with the same θ and episode it gives the same φ, predictions, meta-loss and logs, to the bit.

    Draw no random numbers, read no clock, and keep nothing between calls.
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


def _model() -> Model:
    return cast(Model, plugin("model", probes.plain))


def _bound(algorithm: MetaAlgorithm) -> tuple[Bound, Episode]:
    task = probes.task_for(algorithm)
    bound = bind_seeds(task, _model(), algorithm, (0,), torch.device("cpu"))
    episodes = task.sample(1, split="train", generator=torch.Generator().manual_seed(0))
    return bound, trees.index(episodes, 0)
