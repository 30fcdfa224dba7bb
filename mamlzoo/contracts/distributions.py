"""Predictions that say how sure they are: a distribution of each example's target.

A task whose network gives the numbers of one says how to read them,

    def distribution(self, outputs):
        return mamlzoo.Gaussian.of(outputs)

and an algorithm that knows one, as a Gaussian process does, returns it from `predict`. Scores, coverage and calibration
then come by themselves.

Every field that is declared as a Tensor begins with [n], the examples; other fields are constants. Methods are
differentiable, have no branch on a tensor's value, and take further axes before [n] too.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self, dataclass_transform

import torch
from torch import Tensor
from torch.nn.functional import softplus

from mamlzoo import trees
from mamlzoo.errors import UsageError

LEVELS = tuple(at / 20 for at in range(1, 20))
"""Levels 5%, 10%, …, 95% at which the calibration of a continuous distribution is looked at."""
ROUNDING = 1e-9
"""Levels that are so near are one: (1 − 0.9)/2 is not 0.05 in floating point."""


@dataclass_transform(frozen_default=True, eq_default=False)
class Distribution(ABC):
    """What is predicted of each example's target. A subclass becomes a frozen dataclass by itself.

    A distribution of your own has what is abstract here; with `levels` and `quantile` it has intervals, and so coverage
    and calibration.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        written = cls.__doc__
        dataclass(frozen=True, eq=False)(cls)
        cls.__doc__ = written
        trees.register(cls, trees.holds_tensor)

    @property
    @abstractmethod
    def points(self) -> Tensor:
        """What losses and metrics of points see: [n, targets], or logits [n, classes]."""

    @abstractmethod
    def scores(self, target: Tensor) -> dict[str, Tensor]:
        """How bad it is for targets as in a `Batch`, by name, each [n]: the first is a loss, and means are reported."""

    @property
    def known_levels(self) -> Sequence[float]:
        """Increasing levels at which calibration is looked at; between the first and the last `quantile` is known."""
        return ()

    def reaches(self, level: float) -> bool:
        """Whether the ends of the interval of this probability are known."""
        known = self.known_levels
        return bool(known) and known[0] - ROUNDING <= (1 - level) / 2 and (1 + level) / 2 <= known[-1] + ROUNDING

    def quantile(self, level: float) -> Tensor:
        """What the target is below with this probability, [n, targets]."""
        raise UsageError(f"a {type(self).__name__} has no quantiles")

    def interval(self, level: float) -> tuple[Tensor, Tensor]:
        """The ends of the central interval that holds the target with this probability, each [n, targets]."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)


class Gaussian(Distribution):
    """A normal distribution of each target; those of one example are independent.

    Attributes:
        mean, variance: each [n, targets].
    """

    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, outputs: Tensor, least_variance: float = 1e-6) -> Self:
        """A network's outputs [n, 2·targets] as means μ, and then s of which follow variances, least + log(1 + e^s).

        The logarithm of a variance in place of s would make the loss infinite where it is far below 0.

        Reference: Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles", NeurIPS 2017, section 2.2.
        """
        mean, free = outputs.chunk(2, -1)
        return cls(mean, softplus(free) + least_variance)

    @property
    def points(self) -> Tensor:
        """The mean."""
        return self.mean

    @property
    def sd(self) -> Tensor:
        """The standard deviation, [n, targets]."""
        return self.variance.sqrt()

    def log_prob(self, target: Tensor) -> Tensor:
        """The log density of targets [n, targets], for each example [n].

        log N(y; μ, σ²) = −½·Σ ((y − μ)²/σ² + log σ² + log 2π), the sum over an example's targets.
        """
        squares = (target - self.mean).square() / self.variance
        return -(squares + self.variance.log() + math.log(2 * math.pi)).sum(-1) / 2

    def nll(self, target: Tensor) -> Tensor:
        """The mean of −log p over the examples, a scalar: a loss, with its ½ and log 2π."""
        return -self.log_prob(target).mean(-1)

    def scores(self, target: Tensor) -> dict[str, Tensor]:
        """The negative log likelihood."""
        return {"nll": -self.log_prob(target)}

    @property
    def known_levels(self) -> Sequence[float]:
        """5%, 10%, …, 95%."""
        return LEVELS

    def quantile(self, level: float) -> Tensor:
        """μ + σ·Φ⁻¹(level)."""
        return self.mean + self.sd * NormalDist().inv_cdf(level)

    def mixed(self) -> Self:
        """Of an ensemble or of samples, [members, n, targets], the Gaussian with their mixture's mean and variance.

        μ = mean of μ_m,   σ² = mean of (σ_m² + μ_m²) − μ² = mean of σ_m² + variance of μ_m.

        Reference: Lakshminarayanan et al., 2017, section 2.4.
        """
        mean = self.mean.mean(0)
        return type(self)(mean, (self.variance + (self.mean - mean).square()).mean(0))


class Categorical(Distribution):
    """Probabilities of classes.

    Attributes:
        logits: log probabilities but for a constant, [n, classes].
    """

    logits: Tensor

    @property
    def points(self) -> Tensor:
        """The logits."""
        return self.logits

    @property
    def probabilities(self) -> Tensor:
        """[n, classes]."""
        return self.logits.softmax(-1)

    def log_prob(self, target: Tensor) -> Tensor:
        """The log probability of class indices [n], [n]."""
        return self.logits.log_softmax(-1).gather(-1, target[..., None])[..., 0]

    def nll(self, target: Tensor) -> Tensor:
        """The mean of −log p over the examples, a scalar: the cross entropy."""
        return -self.log_prob(target).mean(-1)

    def scores(self, target: Tensor) -> dict[str, Tensor]:
        """The negative log likelihood."""
        return {"nll": -self.log_prob(target)}

    def mixed(self) -> Self:
        """Of an ensemble or of samples, [members, n, classes], the mean of their probabilities.

        Reference: Lakshminarayanan et al., 2017, section 2.4.
        """
        return type(self)(self.logits.log_softmax(-1).logsumexp(0) - math.log(len(self.logits)))


class Quantiles(Distribution):
    """Some quantiles of each target, from which no density follows.

    Between two levels a quantile is interpolated. Those that a network gives in the wrong order are sorted where they
    are used, which brings them no farther from the true ones (Chernozhukov et al., "Quantile and Probability Curves
    Without Crossing", Econometrica 2010), and left as they are in the loss.

    Attributes:
        values: [n, targets, levels].
        levels: their probabilities, increasing in (0, 1); the median is one of them or between two.
    """

    values: Tensor
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        levels = tuple(map(float, self.levels))
        increasing = all(low < high for low, high in itertools.pairwise(levels))
        if not (levels and increasing and 0 < levels[0] <= 0.5 <= levels[-1] < 1):
            raise UsageError(f"levels of quantiles must increase within (0, 1) and reach around 0.5, not {levels}")
        object.__setattr__(self, "levels", levels)

    @classmethod
    def of(cls, outputs: Tensor, levels: Sequence[float]) -> Self:
        """A network's outputs [n, targets·levels] as the quantiles of the first target, of the second, …"""
        return cls(outputs.unflatten(-1, (-1, len(levels))), tuple(levels))

    @property
    def points(self) -> Tensor:
        """The median, [n, targets]."""
        return self.quantile(0.5)

    def pinball(self, target: Tensor) -> Tensor:
        """The pinball loss of targets [n, targets], the mean over targets and levels, for each example [n].

        ρ_τ(u) = max(τ·u, (τ − 1)·u) of u = y − q_τ, whose mean is least where q_τ is the quantile.

        Reference: Koenker and Bassett, "Regression Quantiles", Econometrica 1978.
        """
        levels = self.values.new_tensor(self.levels)
        error = target[..., None] - self.values
        return torch.maximum(levels * error, (levels - 1) * error).mean((-1, -2))

    def scores(self, target: Tensor) -> dict[str, Tensor]:
        """The pinball loss."""
        return {"pinball": self.pinball(target)}

    @property
    def known_levels(self) -> Sequence[float]:
        """Its own."""
        return self.levels

    def quantile(self, level: float) -> Tensor:
        """Interpolated between the nearest levels, [n, targets].

        Raises:
            UsageError: the level lies outside of those that there are.
        """
        levels, values = self.levels, self.values.sort(-1).values
        if not levels[0] - ROUNDING <= level <= levels[-1] + ROUNDING:
            raise UsageError(f"quantiles from {levels[0]:g} to {levels[-1]:g} do not tell that of {level:g}")
        above = next((at for at, known in enumerate(levels) if level <= known + ROUNDING), len(levels) - 1)
        below = max(0, above - 1)
        gap = levels[above] - levels[below]
        share = min(1.0, max(0.0, (level - levels[below]) / gap)) if gap else 1.0
        return torch.lerp(values[..., below], values[..., above], share)


def points_of(prediction: Tensor | Distribution) -> Tensor:
    """A prediction's points, as losses of points see them: of a tensor itself."""
    return prediction.points if isinstance(prediction, Distribution) else prediction
