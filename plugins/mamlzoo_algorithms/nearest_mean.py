"""Nearest mean: classify raw inputs by the nearest class mean, with nothing learned."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.class_members import class_means, of_present, require_classes
from mamlzoo_algorithms.input_vectors import flat, require_numbers


class Means(NamedTuple):
    """φ: each class's mean input [N, numbers], and whether the support set has an example of it, 1 or 0, [N]."""

    means: Tensor
    present: Tensor


class NearestMean(mamlzoo.CompleteAtOnce):
    """Classify raw inputs by the nearest class mean: no network, no training, what a learned space must beat.

    Inputs are taken as they are, as vectors of numbers:

      c_k = mean of x over support points of class k,   logits_k(x) = −s·‖x − c_k‖².

    With s = ½ these are the log probabilities of classes that are normal around c_k with variance 1, each as likely as
    the others: where that is the task, as blobs of many shots are, no method does better. It is prototypical networks'
    rule with the embedding f(x) = x. θ is s, and stays.

    A class without a support point has the logit −∞, and the others are as if it were not there.

    Reference: Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", 2009, section 4.3, the linear
    discriminant with one spherical covariance.
    """

    name = "nearest-mean"
    trains = False
    scale: float = option(0.5, "what squared distances are multiplied by, s", above=0)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        require_classes(self, spec, "classifies by class means")
        require_numbers(self, spec)
        return {}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return {"distance": {"scale": torch.tensor(self.scale)}}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Means:
        return Means(*class_means(flat(support.x), support, learner.spec.output_size))

    def embed(self, learner: Learner, meta: MetaParams, fast: Means, x: Tensor) -> Tensor:
        """The inputs themselves, as vectors."""
        return flat(x)

    def predict(self, learner: Learner, meta: MetaParams, fast: Means, x: Tensor) -> Tensor:
        squares = (self.embed(learner, meta, fast, x)[:, None] - fast.means).square().sum(-1)
        return of_present(-meta["distance"]["scale"] * squares, fast.present)
