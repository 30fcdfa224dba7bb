"""What a prediction is judged by: a task's metrics, and where there is a distribution its scores and calibration.

Coverage and calibration are shares of many examples, so they are taken over all of a test set at once: an episode gives
sums, which are pooled (`pooled`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mamlzoo.contracts.distributions import Categorical, Distribution
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.readings import reading_of
from mamlzoo.contracts.return_values import check_metrics

COVERED = (0.5, 0.9)
"""How often the target lies in the central intervals that are to hold it so often."""
CALIBRATION = "calibration error"
SCORES = ("nll", "pinball")
"""What the scores of the built-in distributions are called."""
BINS = 15
"""Bins of confidence, as Guo et al. take."""


class Judgement(NamedTuple):
    """One episode's.

    Attributes:
        values: by metric, a scalar.
        sums: by metric that is pooled over episodes, [parts + 1], as `pooled` takes it.
    """

    values: dict[str, Tensor]
    sums: dict[str, Tensor]


def judge(task: Task, prediction: Tensor | Distribution, target: Tensor) -> Judgement:
    """Predictions of the n examples of an episode, none of them padding."""
    points, distribution = reading_of(task, prediction)
    if distribution is None:
        return Judgement(check_metrics(task, task.metrics(points, target)), {})
    values = check_metrics(task, task.metrics(points, target), none_will_do=True)
    own = {name: score.mean() for name, score in distribution.scores(target).items() if name not in values}
    sums = {name: part for name, part in _sums(distribution, target).items() if name not in values}
    return Judgement(check_metrics(task, values | own), sums)


def pooled(sums: Tensor) -> Tensor:
    """A metric of sums [..., parts + 1] over examples, the last of which counts these: Σ |part| / count, [...]."""
    return sums[..., :-1].abs().sum(-1) / sums[..., -1]


def coverage(level: float) -> str:
    """What the metric is called.

    >>> coverage(0.9)
    'coverage 90%'
    """
    return f"coverage {level:.0%}"


def _sums(distribution: Distribution, target: Tensor) -> dict[str, Tensor]:
    if isinstance(distribution, Categorical):
        return {CALIBRATION: _gaps_of_confidence(distribution, target)}
    levels = distribution.known_levels
    if not levels:
        return {}
    found = {}
    for level in COVERED:
        if distribution.reaches(level):
            low, high = distribution.interval(level)
            found[coverage(level)] = _counted(_share(target, low, high)[None])
    below = torch.stack([_below(target, distribution.quantile(level)) - level for level in levels])
    return found | {CALIBRATION: _counted(below / len(levels))}


def _gaps_of_confidence(distribution: Categorical, target: Tensor) -> Tensor:
    """The sums of ECE = Σ_m |B_m|/n·|acc(B_m) − conf(B_m)| over bins (m − 1, m]/15 of the largest probability.

    Since |B_m|·acc and |B_m|·conf are sums over the examples of a bin, a bin's part is the sum of hit − confidence.

    Reference: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    confidence, chosen = distribution.probabilities.max(-1)
    gap = (chosen == target).to(confidence.dtype) - confidence
    own = (confidence * BINS).ceil().clamp(1, BINS)
    member = own == torch.arange(1, BINS + 1, device=own.device)[:, None]
    return _counted(member.to(gap.dtype) * gap)  # a product, so that NaN stays NaN


def _share(target: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return ((low <= target) & (target <= high)).to(low.dtype).masked_fill(low.isnan() | high.isnan(), torch.nan)


def _below(target: Tensor, quantile: Tensor) -> Tensor:
    """1 where a target is no more than its quantile; a distribution that is calibrated has it so with its level.

    Reference: Kuleshov et al., "Accurate Uncertainties for Deep Learning Using Calibrated Regression", ICML 2018;
    of the differences, the mean of their amounts is taken, as for classes, and not the sum of their squares.
    """
    return (target <= quantile).to(quantile.dtype).masked_fill(quantile.isnan(), torch.nan)


def _counted(parts: Tensor) -> Tensor:
    """The sums over examples of parts [parts, n, …], and how many examples and targets there are."""
    flat = parts.flatten(1)
    return torch.cat([flat.sum(1), flat.new_full((1,), flat.shape[1])])
