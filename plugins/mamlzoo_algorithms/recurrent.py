"""A recurrent learner: a network that reads the support set and remembers it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Spec, option
from mamlzoo_algorithms.class_members import there_alone
from mamlzoo_algorithms.input_vectors import require_numbers
from mamlzoo_algorithms.sequences import states


class Recurrent(mamlzoo.CompleteAtOnce):
    """A recurrent network reads the support set example by example, and what it remembers is all that is adapted.

    A GRU takes each example with its target, of a class as one of N numbers that is 1, and the user's network predicts
    a query from its input and the last state:

      h₀ = 0,   h_i = GRU_θ((x_i, y_i), h_{i−1}),   φ = h_n,   prediction(x) = f_θ(x, h_n),
      meta-loss(θ) = L_Q.

    So learning itself is a pass of the network, without a gradient, and meta-training makes it one. The meta-gradient
    goes back through the whole sequence. Padding leaves the state as it was.

    The state depends on the order of the examples. With `shuffle` each training episode is read in a random order, so
    that nothing is learned of how a task sorts its sets; a test reads them as they come.

    The paper's LSTM gets each target one step late and predicts at every step; here a query is answered behind the
    whole support set, as it is by the other algorithms, and a GRU does with one state.

    Reference: Hochreiter, Younger, Conwell, "Learning to Learn Using Gradient Descent", ICANN 2001.
    """

    name = "recurrent"
    claims = frozenset({"complete-at-once"})
    state: int = option(64, "numbers that are remembered", minimum=1)
    shuffle: bool = option(False, "read the support sets of training episodes in a random order")

    def networks(self, spec: Spec) -> dict[str, Spec | mamlzoo.Builder]:
        require_numbers(self, spec, of_vectors=True)
        (length,) = spec.input_shape
        targets = spec.output_size if spec.kind == "classification" else sum(spec.target_shape)
        return {
            "network": replace(spec, inputs=None, input_shape=(length + self.state,)),
            "cell": lambda: nn.GRUCell(length + targets, self.state),
        }

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Tensor:
        return self._read(learner, meta, support, range(len(support.y)))

    def _read(self, learner: Learner, meta: MetaParams, support: Batch, order: range | Tensor) -> Tensor:
        """The state behind the support set, [1, state]."""
        x, y = support
        if learner.spec.kind == "classification":
            y = one_hot(y, learner.spec.output_size).to(x.dtype)
        examples, there = there_alone(torch.cat([x, y], -1), support), support.there
        if isinstance(order, Tensor):
            examples, there = examples[order], there[order]

        def cell(example: Tensor, state: Tensor) -> Tensor:
            return learner.predict(meta["cell"], (example, state), "cell")

        return states(cell, examples, there, examples.new_zeros(1, self.state))[-1:]

    def predict(self, learner: Learner, meta: MetaParams, fast: Tensor, x: Tensor) -> Tensor:
        return learner.predict(meta["network"], torch.cat([x, fast.expand(len(x), -1)], -1))

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        support, query = episode
        count = len(support.y)
        order = learner.noise.permutation(count) if self.shuffle else range(count)
        state = self._read(learner, meta, support, order)
        return learner.loss_of(self.predict(learner, meta, state, query.x), query), {}
