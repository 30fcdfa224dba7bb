"""A support set as attention reads it: keys, values, and which of them are there."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Builder, Learner, MetaParams, Spec
from mamlzoo_algorithms.cross_attention import CrossAttention
from mamlzoo_algorithms.point_sets import rows_of


class AttendedSet(NamedTuple):
    """Keys and values [n, size], and which are there, [n]."""

    keys: Tensor
    values: Tensor
    there: Tensor

    @classmethod
    def of(cls, learner: Learner, meta: MetaParams, support: Batch) -> AttendedSet:
        """By the networks below."""
        values = learner.predict(meta["encoder"], rows_of(support), "encoder", mask=support.mask)
        keys = learner.predict(meta["keys"], support.x, "keys", mask=support.mask)
        return cls(keys, values, support.there)

    def at(self, learner: Learner, meta: MetaParams, x: Tensor) -> Tensor:
        """What each query point takes of the set, [n, size]."""
        queries = learner.predict(meta["keys"], x, "keys")
        return learner.predict(meta["attention"], (queries, *self), "attention")


def attending_networks(
    algorithm: mamlzoo.MetaAlgorithm, inputs: int, targets: int, size: int, heads: int
) -> dict[str, Spec | Builder]:
    """The encoder of values, the embedding of keys and queries, and the attention between them.

    Raises:
        UsageError: the heads do not share the size evenly.
    """
    if size % heads:
        raise mamlzoo.UsageError(
            f"algorithm '{algorithm.name}' divides a representation of {size} among {heads} heads; "
            f"choose one that is a multiple of {heads}"
        )
    return {
        "encoder": Spec((inputs + targets,), size),
        "keys": Spec((inputs,), size),
        "attention": lambda: CrossAttention(size, heads),
    }
