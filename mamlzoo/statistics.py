"""Intervals of means, from first principles: no more dependencies than numpy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def t_probability(t: float, degrees: int) -> float:
    """P(|T| < t) for Student's t with a whole number of degrees of freedom.

    With a = atan(t/√ν), a finite series in cos a (Abramowitz & Stegun, 26.7.3 and 26.7.4).
    """
    angle = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    # Even ν: 1, 1/2, 1·3/(2·4), …; odd ν: 1, 2/3, 2·4/(3·5), …; each times the next power of cos² a.
    k = np.arange(1, (degrees - odd) // 2)
    ratios = (2 * k - 1 + odd) / (2 * k + odd) * math.cos(angle) ** 2
    series = float(1 + np.cumprod(ratios).sum()) if degrees > 1 else 0.0
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * series)
    return math.sin(angle) * series


def t_quantile(degrees: int, confidence: float = 0.95) -> float:
    """The t with P(|T| < t) = confidence, by bisection.

    >>> round(t_quantile(4), 3)
    2.776
    """
    low, high = 0.0, 1.0
    while t_probability(high, degrees) < confidence:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_probability(middle, degrees) < confidence else (low, middle)
    return (low + high) / 2


def mean_and_ci95(samples: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and half-width of the 95% t interval over the first axis; one sample has no interval (NaN)."""
    samples = np.asarray(samples, dtype=np.float64)
    count = len(samples)
    with np.errstate(invalid="ignore", over="ignore"):  # infinities are data here: a diverged fit
        mean = samples.mean(0)
        if count < 2:
            return mean, np.full_like(mean, np.nan)
        return mean, t_quantile(count - 1) * samples.std(0, ddof=1) / math.sqrt(count)
