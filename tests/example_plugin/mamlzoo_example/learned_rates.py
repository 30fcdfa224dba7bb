"""An algorithm whose θ is more than a network."""

import torch

import mamlzoo
from mamlzoo import option


class LearnedRates(mamlzoo.MetaAlgorithm):
    """MAML that learns the inner rate of each parameter tensor too, as its logarithm.

    φ₀ = θ, φ_{t+1} = φ_t − exp(ρ)·∇L_S(φ_t), meta-loss(θ, ρ) = L_Q(φ_k).

    Reference: Antoniou, Edwards, Storkey, "How to train your MAML", ICLR 2019, section 4 (there a rate a layer and step).
    """

    name = "learned-rates"
    honours_masks = True  # all losses are the learner's, which pass over padding
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)
    inner_lr: float = option(0.01, "initial rate of every tensor", above=0)

    def networks(self, spec):
        return {"network": spec}  # which networks are built, and their shapes

    def init(self, networks):
        return networks | {"log-rates": {name: torch.tensor(self.inner_lr).log() for name in networks["network"]}}

    def start(self, learner, meta, support):
        return meta["network"]

    def adapt(self, learner, meta, fast, support):
        return mamlzoo.sgd(fast, learner.gradient(fast, support), mamlzoo.tree_map(torch.exp, meta["log-rates"]))

    def predict(self, learner, meta, fast, x):
        return learner.predict(fast, x)

    def adapted(self, learner, meta, fast):
        return {"network": fast}  # with which the plain network predicts the same, for an export

    def meta_loss(self, learner, meta, episode, progress):
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.loss(fast, episode.query), {}
