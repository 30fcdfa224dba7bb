"""A number of θ that has no axis, as a rate that is learned, is compared as any other."""

from __future__ import annotations

from test_program import Traced

import mamlzoo
from mamlzoo.engine.compilation.agreement import disagreement
from mamlzoo.engine.compilation.graph import roughness
from mamlzoo.engine.compilation.program import Replay
from mamlzoo.engine.gradients import EAGER


class LearnedRate(mamlzoo.MetaAlgorithm):
    """MAML of one step, whose rate is learned by its logarithm."""

    name = "learned-rate"

    def networks(self, spec):
        return {"network": spec}

    def init(self, networks):
        some = next(iter(networks["network"].values()))
        return networks | {"rate": {"log": some.new_full((), -4.0)}}

    def start(self, learner, meta, support):
        return meta["network"]

    def adapt(self, learner, meta, fast, support):
        return mamlzoo.sgd(fast, learner.gradient(fast, support), meta["rate"]["log"].exp())

    def predict(self, learner, meta, fast, x):
        return learner.predict(fast, x)

    def meta_loss(self, learner, meta, episode, progress):
        return learner.loss(self.adapt(learner, meta, meta["network"], episode.support), episode.query), {}


def test_the_graph_of_an_algorithm_with_a_scalar_in_theta_agrees():
    trial = Traced(LearnedRate())
    gradients = EAGER["vmap"](trial.bound, trial.reduction, None)
    compiled = trial.steps(Replay(trial.traced.graph))
    graph = trial.traced.graph
    assert disagreement(trial.vmap, compiled, gradients, trial.block, roughness(graph)) is None
