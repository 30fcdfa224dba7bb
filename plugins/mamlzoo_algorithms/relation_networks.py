"""Relation networks: a second network says how alike a query and a class are."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Spec, option
from mamlzoo_algorithms.class_members import class_means, class_sums, of_present, require_classes


class Embeddings(NamedTuple):
    """φ: each class's embedding [N, embedding], and whether the support set has an example of it, 1 or 0, [N]."""

    classes: Tensor
    present: Tensor


class RelationNetworks(mamlzoo.CompleteAtOnce):
    """Learn the comparison too: a second network says how alike an embedded query and an embedded class are.

    The network f_θ embeds inputs into `embedding` dimensions; a class's embedding is the sum, or the mean, of its
    support examples'. The network called `relation` takes the two, one behind the other, to a score:

      c_k = Σ f_θ(x) over support examples of class k,   s_k(x) = g_θ(c_k, f_θ(x)),   r_k(x) = 1 / (1 + e^{−s_k(x)}),
      meta-loss(θ) = mean over queries and classes of (r_k(x) − [y = k])²,

    which regresses relations, and is no loss of the task's; `loss` task takes the task's own, of the logits s_k. These
    are what is predicted: where one relation alone holds, and each with the chance r_k, it is k's with the probability
    r_k·Π_{j≠k}(1 − r_j) / Σ = e^{s_k} / Σ_j e^{s_j}, the softmax of the scores.

    A class without a support example has the logit −∞, and the others are as if it were not there. A sum grows with the
    number of examples; where classes have several numbers of them, or a test another than training, take the mean.

    In the paper embeddings and the relation network's inputs are images of many channels; here they are vectors, so
    that any model can be either network: `-m conv4 -m relation=mlp`.

    Reference: Sung, Yang, Zhang, Xiang, Torr, Hospedales, "Learning to Compare: Relation Network for Few-Shot
    Learning", CVPR 2018, section 3.2, equations 1 and 2.
    """

    name = "relation-networks"
    claims = frozenset({"complete-at-once"})
    embedding: int = option(32, "dimensions of the space that inputs are embedded in", minimum=1)
    pool: Literal["sum", "mean"] = option("sum", "a class's embedding: the sum of its examples', or their mean")
    loss: Literal["relation", "task"] = option("relation", "squared errors of the relations, or the task's own loss")

    def networks(self, spec: Spec) -> dict[str, Spec]:
        require_classes(self, spec, "compares queries with classes")
        return {"network": replace(spec, output_size=self.embedding), "relation": Spec((2 * self.embedding,), 1)}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Embeddings:
        embedded = learner.predict(meta["network"], support.x, mask=support.mask)
        pooled = class_sums if self.pool == "sum" else class_means
        classes, counted = pooled(embedded, support, learner.spec.output_size)
        return Embeddings(classes, counted.clamp(max=1))

    def embed(self, learner: Learner, meta: MetaParams, fast: Embeddings, x: Tensor) -> Tensor:
        """f_θ(x), what the relation network is given of a query."""
        return learner.predict(meta["network"], x)

    def predict(self, learner: Learner, meta: MetaParams, fast: Embeddings, x: Tensor) -> Tensor:
        return of_present(self._scores(learner, meta, fast, x), fast.present)

    def _scores(self, learner: Learner, meta: MetaParams, fast: Embeddings, x: Tensor) -> Tensor:
        """s_k of each input and class, [n, N]."""
        embedded, classes = self.embed(learner, meta, fast, x), fast.classes
        pairs = [classes.expand(len(embedded), -1, -1), embedded[:, None].expand(-1, len(classes), -1)]
        scores = learner.predict(meta["relation"], torch.cat(pairs, -1).flatten(0, 1), "relation")
        return scores.reshape(len(embedded), len(classes))

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        support, query = episode
        embeddings = self.start(learner, meta, support)
        scores = self._scores(learner, meta, embeddings, query.x)
        task = learner.loss_of(of_present(scores, embeddings.present), query)
        if self.loss == "task":
            return task, {}
        relations = functional.one_hot(query.y, scores.shape[1]).to(scores.dtype)
        counted = query.there[:, None] & (embeddings.present > 0)
        errors = (scores.sigmoid() - relations).square().masked_fill(~counted, 0)
        return errors.sum() / counted.sum().clamp(min=1), {"loss": task}
