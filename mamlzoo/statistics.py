"""Intervals of means, from first principles: no more dependencies than numpy."""

from __future__ import annotations

import bisect
import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_SEEDS = 1000
"""More are not suggested to anybody."""


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


@functools.cache
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


class Interval(NamedTuple):
    """A mean and the ends of its interval; the ends are NaN where there is none."""

    mean: float
    low: float
    high: float


class Crossed(NamedTuple):
    """What values [S, T] of S seeds and T tasks, both of them samples, say of their mean.

    Take values d_st = μ + a_s + b_t + e_st with normal random effects of the seed, of the task and of the two together.
    The variance of their mean is σ_a²/S + σ_b²/T + σ_e²/(S·T). With s_a² the sample variance of the S means over tasks
    and s_b² that of the T means over seeds,

        v = s_a²/S + s_b²/T,   E v = σ_a²/S + σ_b²/T + 2σ_e²/(S·T),

    which is too large in the mean, by σ_e²/(S·T), rather than too small. The mean and the two terms are independent
    (the mean, the deviations of rows and those of columns are orthogonal), and v/E v = w·X + (1 − w)·Y with 0 ≤ w ≤ 1
    and X, Y distributed as χ²_ν/ν with ν = S − 1 and ν = T − 1. With Z standard normal,

        P(|mean − μ| > c·√v) ≤ E g(w·X + (1 − w)·Y),   g(u) = P(Z² > c²·u).

    g is convex, since the density of Z² falls. So this is at most w·E g(X) + (1 − w)·E g(Y), and E g(X) is the
    probability P(|T| > c) of Student's t with S − 1 degrees of freedom: the fewest degrees have the largest. Hence

        mean ± t_{n−1}·√v,   n the smaller of S and T,

    holds μ as often as it says, or more often; exactly so often where the values differ along the shorter axis alone.
    An axis of length 1 has no variance to be estimated and no term: the interval then says nothing of another seed, or
    of another task.

    Source: Mickey and Brown, "Bounds on the distribution functions of the Behrens-Fisher statistic", The Annals of
    Mathematical Statistics 37 (1966), for two samples.

    Attributes:
        mean: over all values.
        of_seeds, of_tasks: the sample variances s_a², s_b²; 0 along an axis of length 1.
        of_both: s_e², the variance of what is left where neither the seed's nor the task's part is in it.
        seeds, tasks: S and T.
    """

    mean: float
    of_seeds: float
    of_tasks: float
    of_both: float
    seeds: int
    tasks: int

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> Crossed:
        """The summary of finite values [S, T]."""
        values = np.asarray(values, dtype=np.float64)
        seeds, tasks = values.shape
        origin = values[0, 0]
        centred = values - origin  # equal values make zeros, without rounding
        by_seed, by_task = centred.mean(1), centred.mean(0)
        of_seeds, of_tasks = (float(means.var(ddof=1)) if len(means) > 1 else 0.0 for means in (by_seed, by_task))
        left = centred - by_seed[:, None] - by_task + centred.mean()
        of_both = float(np.square(left).sum()) / max(1, (seeds - 1) * (tasks - 1))
        return cls(float(origin + centred.mean()), of_seeds, of_tasks, of_both, seeds, tasks)

    def half(self, confidence: float = 0.95) -> float:
        """Half of the interval's width; NaN for a single value."""
        several = [size for size in (self.seeds, self.tasks) if size > 1]
        if not several:
            return math.nan
        variance = self.of_seeds / self.seeds + self.of_tasks / self.tasks
        return t_quantile(min(several) - 1, confidence) * math.sqrt(variance)

    def interval(self, confidence: float = 0.95) -> Interval:
        """The mean and the ends of its interval."""
        half = self.half(confidence)
        return Interval(self.mean, self.mean - half, self.mean + half)

    def seeds_needed(self, confidence: float = 0.95) -> int | None:
        """The smallest number of seeds whose interval would leave out 0, were their mean and variances these.

        It is the smallest S ≥ 2 at which t_{min(S,T)−1}·√(s_a²/S + s_b²(S)/T) < |mean|. Here s_b²(S) = σ_b² + s_e²/S is
        what is expected of s_b² with S seeds, and σ_b² is taken from these: s_b² less s_e² by their number, 0 at least.
        The left side falls with S, so it is found by bisection. It is a guess from a sample: with so many seeds the
        interval leaves out 0 about half the time.

        Returns:
            None where there is a single seed, whose variance is not known, or where `MOST_SEEDS` would not do.
        """

        of_tasks = max(0.0, self.of_tasks - self.of_both / self.seeds)

        def would_do(seeds: int) -> bool:
            expected = self._replace(seeds=seeds, of_tasks=of_tasks + self.of_both / seeds)
            return expected.half(confidence) < abs(self.mean)

        if self.seeds < 2 or not would_do(MOST_SEEDS):
            return None
        return bisect.bisect_left(range(2, MOST_SEEDS), True, key=would_do) + 2
