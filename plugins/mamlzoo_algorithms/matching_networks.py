"""Matching networks: classify by attention over the embedded support set."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.class_members import members, of_present, require_classes, there_alone


class Memory(NamedTuple):
    """φ: the support examples' embeddings of length 1, [n, embedding], and the class of each, [n, N] of 1 and 0."""

    embedded: Tensor
    member: Tensor


class MatchingNetworks(mamlzoo.MetaAlgorithm):
    """Classify by attention over the support set: a query has the labels of those that it is most like.

    The network f_θ embeds inputs into `embedding` dimensions. With cos the cosine of the angle between two embeddings,
    and s = `sharpness`, 1 in the paper,

      a_i(x) = e^{s·cos(f_θ(x), f_θ(x_i))} / Σ_j e^{s·cos(f_θ(x), f_θ(x_j))},   P(y = k | x) = Σ_i a_i(x)·[y_i = k],
      meta-loss(θ) = L_Q, the task's loss of the logits log P.

    The logarithm of the sum is taken as one, by class: log P(y = k | x) = LSE_{i: y_i = k} − LSE_i of s·cos. A class
    of K examples has K voices, so one of more examples is likelier before anything is seen; one without any has the
    logit −∞, and the others are as if it were not there: training episodes may have more classes than test episodes.

    As cosines lie between −1 and 1, with s = 1 no class is ever certain: of N classes of K examples each none gets more
    than e²/(e² + N − 1), .65 of five. That bounds the loss from below, and not the accuracy.

    These are the paper's networks without its "full context embeddings", a bidirectional LSTM over the support set and
    an LSTM with attention for the query: they make the embedding depend on the order of examples, and gained nothing on
    Omniglot (there in section 4.1.1). One network embeds both, f = g.

    Reference: Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra, "Matching Networks for One Shot Learning",
    NeurIPS 2016, section 2.1 and equation 1.
    """

    name = "matching-networks"
    claims = frozenset({"query-loss", "complete-at-once"})
    honours_masks = True
    embedding: int = option(32, "dimensions of the space that inputs are embedded in", minimum=1)
    sharpness: float = option(1.0, "what cosines are multiplied by before the softmax", above=0)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        require_classes(self, spec, "classifies by the labels of examples that are alike")
        return {"network": replace(spec, output_size=self.embedding)}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Memory:
        embedded = there_alone(learner.predict(meta["network"], support.x, mask=support.mask), support)
        return Memory(normalize(embedded, dim=-1), members(support, learner.spec.output_size, embedded.dtype))

    def adapt(self, learner: Learner, meta: MetaParams, fast: Memory, support: Batch) -> Memory:
        return fast

    def predict(self, learner: Learner, meta: MetaParams, fast: Memory, x: Tensor) -> Tensor:
        cosines = normalize(learner.predict(meta["network"], x), dim=-1) @ fast.embedded.T
        present = fast.member.sum(0)
        # Of a class without examples the sum would be that of nothing, whose logarithm has no gradient.
        counted = (fast.member > 0) | (present == 0)
        voices = (self.sharpness * cosines)[..., None].masked_fill(~counted, -torch.inf)
        logits = of_present(voices.logsumexp(1), present)
        return logits.log_softmax(-1)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        memory = self.start(learner, meta, episode.support)
        return learner.loss_of(self.predict(learner, meta, memory, episode.query.x), episode.query), {}
