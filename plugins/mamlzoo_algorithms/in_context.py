"""In-context learning: a transformer reads the support set and answers."""

from __future__ import annotations

from torch import Tensor

from mamlzoo import Episode, Learner, MetaParams
from mamlzoo_algorithms.context_transformer import ContextTransformer, Read


class InContext(ContextTransformer):
    """In-context learning: a transformer reads the support set, answers, and adapts nothing else.

    With T_θ the transformer, whose support tokens (x, y, 1) attend to each other and whose query tokens (x, 0, 0) to
    them alone,

      φ = the support set as T_θ has read it,   prediction(x) = head(T_θ(x, φ)),   meta-loss(θ) = L_Q.

    A class is written as one number for each class, 1 for itself. What a learning algorithm would do with the support
    set is in θ: on linear functions it becomes least squares.

    The paper's GPT-2 reads x and y as two tokens, in an order, and is trained at every prefix of a sequence; here a
    point is one token, sets have no order, and other sizes of support sets are drawn by the task, as `task.shots` =
    1..10.

    Reference: Garg, Tsipras, Liang, Valiant, "What Can Transformers Learn In-Context? A Case Study of Simple Function
    Classes", NeurIPS 2022, section 2 and equation 2.
    """

    name = "in-context"
    claims = frozenset({"query-loss", "complete-at-once"})

    def predict(self, learner: Learner, meta: MetaParams, fast: Read, x: Tensor) -> Tensor:
        return self.answers(learner, meta, fast, x)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        support, query = episode
        return learner.loss_of(self.predict(learner, meta, self.start(learner, meta, support), query.x), query), {}
