"""Matching networks: classify by attention over the embedded support set."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

import mamlzoo
from mamlzoo import Batch, Learner, MetaParams, Spec, option
from mamlzoo_algorithms.class_members import members, of_present, require_classes, there_alone
from mamlzoo_algorithms.sequences import states


class Memory(NamedTuple):
    """φ: the support embeddings [n, embedding], and the class of each, [n, N] of 1 and 0; padding has none."""

    embedded: Tensor
    member: Tensor


class Cell(nn.Module):
    """An LSTM's cell, whose state is one tensor, its output and its memory side by side."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTMCell(inputs, size)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        output, memory = state.chunk(2, -1)
        return torch.cat(self.lstm(x, (output, memory)), -1)


class MatchingNetworks(mamlzoo.CompleteAtOnce):
    """Classify by attention over the support set: a query has the labels of those that it is most like.

    The user's network embeds inputs, x ↦ f′(x). With f and g the embeddings of queries and of support examples, cos
    the cosine of the angle between two of them, and s = `sharpness`, 1 in the paper,

      a_i(x) = e^{s·cos(f(x), g(x_i))} / Σ_j e^{s·cos(f(x), g(x_j))},   P(y = k | x) = Σ_i a_i(x)·[y_i = k],
      meta-loss(θ) = L_Q, the task's loss of the logits log P.

    The logarithm of the sum is taken as one, by class: log P(y = k | x) = LSE_{i: y_i = k} − LSE_i of s·cos. A class
    of K examples has K voices, so one of more examples is likelier before anything is seen; one without any has the
    logit −∞, and the others are as if it were not there: training episodes may have more classes than test episodes.
    As cosines lie between −1 and 1, with s = 1 no class is ever certain: of N classes of K examples each none gets more
    than e²/(e² + N − 1), .65 of five. That bounds the loss from below, and not the accuracy.

    Without `context_steps` f = g = f′. With T of them embeddings are the paper's "full context" ones: two LSTMs, one
    forwards and one backwards, read the support set and their outputs are added, g(x_i) = f′(x_i) + h→_i + h←_i, which
    depends on its order; and a third LSTM reads it T times for each query, h₀ = c₀ = 0,

      r_t = Σ_i softmax_i(h_{t−1}ᵀg(x_i))·g(x_i),   (ĥ_t, c_t) = LSTM((f′(x), r_t), h_{t−1}, c_{t−1}),
      h_t = ĥ_t + f′(x),   f(x) = h_T.

    Reference: Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra, "Matching Networks for One Shot Learning",
    NeurIPS 2016, section 2.1 and appendix A.
    """

    name = "matching-networks"
    embedding: int = option(32, "dimensions of the space that inputs are embedded in", minimum=1)
    sharpness: float = option(1.0, "what cosines are multiplied by before the softmax, s", above=0)
    context_steps: int = option(0, "reads of full context embeddings, T; 0: inputs are embedded alone", minimum=0)

    def networks(self, spec: Spec) -> dict[str, Spec | mamlzoo.Builder]:
        require_classes(self, spec, "classifies by the labels of examples that are alike")
        wanted: dict[str, Spec | mamlzoo.Builder] = {"network": replace(spec, output_size=self.embedding)}
        if self.context_steps:
            size = self.embedding
            wanted |= {name: partial(Cell, size, size) for name in ("forwards", "backwards")}
            wanted["reader"] = partial(Cell, 2 * size, size)
        return wanted

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Memory:
        embedded = there_alone(learner.predict(meta["network"], support.x, mask=support.mask), support)
        if self.context_steps:
            there = support.there
            onwards = self._outputs(learner, meta, "forwards", embedded, there)
            back = self._outputs(learner, meta, "backwards", embedded.flip(0), there.flip(0)).flip(0)
            embedded = embedded + onwards + back
        return Memory(embedded, members(support, learner.spec.output_size, embedded.dtype))

    def _outputs(self, learner: Learner, meta: MetaParams, name: str, rows: Tensor, there: Tensor) -> Tensor:
        """What an LSTM gives behind each of the rows."""

        def cell(row: Tensor, state: Tensor) -> Tensor:
            return learner.predict(meta[name], (row, state), name)

        return states(cell, rows, there, rows.new_zeros(1, 2 * self.embedding)).chunk(2, -1)[0]

    def embed(self, learner: Learner, meta: MetaParams, fast: Memory, x: Tensor) -> Tensor:
        """f′(x) at unit length, as cosines take it, before any context."""
        return normalize(learner.predict(meta["network"], x), dim=-1)

    def predict(self, learner: Learner, meta: MetaParams, fast: Memory, x: Tensor) -> Tensor:
        embedded = learner.predict(meta["network"], x)
        if self.context_steps:
            embedded = self._in_context(learner, meta, fast, embedded)
        cosines = normalize(embedded, dim=-1) @ normalize(fast.embedded, dim=-1).T
        present = fast.member.sum(0)
        # Of a class without examples the sum would be that of nothing, whose logarithm has no gradient.
        counted = (fast.member > 0) | (present == 0)
        voices = (self.sharpness * cosines)[..., None].masked_fill(~counted, -torch.inf)
        return of_present(voices.logsumexp(1), present).log_softmax(-1)

    def _in_context(self, learner: Learner, meta: MetaParams, fast: Memory, embedded: Tensor) -> Tensor:
        """f of queries from f′, [n, embedding]."""
        output = memory = torch.zeros_like(embedded)
        for _ in range(self.context_steps):
            attention = (output @ fast.embedded.T).masked_fill(fast.member.sum(1) == 0, -torch.inf).softmax(-1)
            x = torch.cat([embedded, attention @ fast.embedded], -1)
            state = learner.predict(meta["reader"], (x, torch.cat([output, memory], -1)), "reader")
            output, memory = state.chunk(2, -1)
            output = output + embedded
        return output
