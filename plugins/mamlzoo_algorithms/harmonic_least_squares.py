"""Harmonic analysis: fit waves of known speeds to the support set, with nothing learned."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Learner, MetaParams, Params, Spec, option
from mamlzoo_algorithms.class_members import there_alone
from mamlzoo_algorithms.point_sets import require_one_input
from mamlzoo_algorithms.ridge import ridge_weights


class Constituent(NamedTuple):
    """A wave of the tide: degrees an hour, and its size where a sea without continents followed sun and moon."""

    speed: float
    equilibrium: float


CONSTITUENTS = {
    "M2": Constituent(28.9841042, 0.91),
    "S2": Constituent(30.0, 0.42),
    "N2": Constituent(28.4397295, 0.17),
    "K2": Constituent(30.0821373, 0.12),
    "K1": Constituent(15.0410686, 0.53),
    "O1": Constituent(13.9430356, 0.38),
    "P1": Constituent(14.9589314, 0.18),
    "Q1": Constituent(13.3986609, 0.07),
    "M4": Constituent(57.9682084, 0.03),
    "M6": Constituent(86.9523127, 0.02),
}
"""The largest of deep and of shallow water, by name. The latter, M4 and M6, no equilibrium has: theirs are a guess."""


class HarmonicLeastSquares(mamlzoo.CompleteAtOnce):
    """Fit tidal constituents by ridge regression, in closed form: no network, no training, the classical way.

    Constituents c have speeds σ_c, known from astronomy. A height at the time x is, up to the others and to noise,

      h(x) = z + Σ_c a_c·cos(σ_c·x) + b_c·sin(σ_c·x) = Φ(x)·w,   w = (z, a, b),

    linear in w. A window shorter than 360°/|σ_c − σ_d| does not tell two constituents apart (M2 and S2: 15 days), and
    few readings not one for sure, so that least squares alone is ill-posed. With sizes s_c, w_c ~ N(0, s_c²·τ²) and
    readings with independent errors of variance η², the most probable w given the readings y minimises

      ‖Φw − y‖² + λ·Σ_c (w_c/s_c)²,   λ = η²/τ²,

    which is ridge regression on columns times s_c: with D = diag(s) and Ψ = ΦD,

      w = D·(ΨᵀΨ + λI)⁻¹·Ψᵀy.

    `sizes` equal has s_c = 1; `equilibrium` has those of the equilibrium tide, the one that a sea without continents
    would have. The mean level z has the largest of them. M4 and M6, of shallow water, it has not; theirs are small by
    guess. What constituents are left out counts as error, so λ is not 0 without noise: it is to be chosen on validation
    harbours, by `mamlzoo sweep`, and the defaults are those that `tides` chose so. θ is λ, and stays.

    Reference: Foreman, Henry, "The harmonic analysis of tidal model time series", Advances in Water Resources, 1989; of
    ridge, Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", 2009, section 3.4.1; sizes to two
    digits of Doodson, "The harmonic development of the tide-generating potential", 1921.
    """

    name = "harmonic-least-squares"
    trains = False
    constituents: tuple[str, ...] = option(("M2", "S2", "N2", "K1", "O1", "M4"), "those that are fitted")
    sizes: Literal["equal", "equilibrium"] = option("equilibrium", "how large each is thought to be before any reading")
    ridge: float = option(1e-4, "weight of what is thought before, λ", above=0)
    unit: float = option(3.0, "hours that an input counts as 1; that of `tides` is 3", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.constituents:
            raise mamlzoo.UsageError(f"algorithm '{self.name}': constituents must name one at least, as M2")
        for name in self.constituents:
            if name not in CONSTITUENTS:
                raise mamlzoo.UsageError(
                    f"algorithm '{self.name}': constituents: there is no '{name}'; there are {', '.join(CONSTITUENTS)}"
                )
        if len(set(self.constituents)) < len(self.constituents):
            raise mamlzoo.UsageError(
                f"algorithm '{self.name}': constituents must differ, not {', '.join(self.constituents)}"
            )

    def networks(self, spec: Spec) -> dict[str, Spec]:
        require_one_input(self, spec, ", the time")
        return {}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return {"penalty": {"ridge": torch.tensor(self.ridge)}}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Tensor:
        features, targets = there_alone(self._features(support.x), support), there_alone(support.y.double(), support)
        return ridge_weights(features, targets, meta["penalty"]["ridge"].double())

    def predict(self, learner: Learner, meta: MetaParams, fast: Tensor, x: Tensor) -> Tensor:
        return (self._features(x) @ fast).to(x.dtype)

    def _features(self, x: Tensor) -> Tensor:
        """Ψ of inputs [n, 1]: the mean level, cosines and sines, each times its size, [n, 1 + 2·constituents].

        In float64: within a day, waves of nearby speeds are hard to tell apart, and float32 would lose digits in it.
        """
        x = x.double()
        chosen = [CONSTITUENTS[name] for name in self.constituents]
        speed = torch.tensor([math.radians(one.speed) * self.unit for one in chosen], dtype=x.dtype, device=x.device)
        known = [one.equilibrium if self.sizes == "equilibrium" else 1.0 for one in chosen]
        size = torch.tensor(known, dtype=x.dtype, device=x.device)
        level = x.new_full((len(x), 1), max(known))
        return torch.cat([level, size * (speed * x).cos(), size * (speed * x).sin()], -1)
