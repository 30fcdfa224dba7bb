"""Intervals of means, from first principles: no more dependencies than numpy."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
BLOCK_NUMBERS = 100_000
"""About how many numbers are drawn at once: few enough for a core's cache."""


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


class Interval(NamedTuple):
    """A mean and the ends of its 95% interval; the ends are NaN where there is none."""

    mean: float
    low: float
    high: float


def expanded_tail(count: int, confidence: float = 0.95) -> float:
    """α'/2: which tail of a bootstrap of `count` ≥ 2 values leaves a t interval's width between its ends.

    Resampling n values estimates the standard error with divisor n, so its sd is √((n−1)/n) of the usual one, and a
    percentile interval puts z where a t interval puts t. Were the resampled means normal, the percentile interval at α'
    would reach z_{α'/2}·√((n−1)/n)·s/√n to each side. To be the t interval t_{α/2,n−1}·s/√n it takes

        α'/2 = Φ(−√(n/(n−1))·t_{α/2,n−1}).

    Source: Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69 (2015).

    >>> round(expanded_tail(5), 5)
    0.00095
    """
    return math.erfc(_expanded_t(count, confidence) / math.sqrt(2)) / 2


def _expanded_t(count: int, confidence: float = 0.95) -> float:
    """In standard deviations of the resampled mean, how far a t interval reaches."""
    return math.sqrt(count / (count - 1)) * t_quantile(count - 1, confidence)


def pigeonhole_variance(values: NDArray[np.floating]) -> float:
    """The exact variance of a two-way mean under the pigeonhole bootstrap.

    Rows and columns of values [S, T] are resampled independently; row s is then counted n_s times and column t m_t
    times, with (n_s) and (m_t) multinomial. With values = μ + a_s + b_t + e_st, each part of mean 0 over each of its
    axes, E n_s n_s' = 1 + δ_ss' − 1/S, the same for m, and the resampled mean Σ n_s m_t values_st / (S·T) has variance

        mean(a²)/S + mean(b²)/T + mean(e²)/(S·T).

    Of random effects this is about σ_a²/S + σ_b²/T + 3σ_e²/(S·T) in the mean, and the truth has 1 for the 3: the
    bootstrap is conservative where noise outweighs both effects.

    Source: Owen, "The pigeonhole bootstrap", The Annals of Applied Statistics 1 (2007).
    """
    mean = values.mean()
    a, b = values.mean(1) - mean, values.mean(0) - mean
    e = values - mean - a[:, None] - b
    seeds, tasks = values.shape
    return float(np.square(a).mean() / seeds + np.square(b).mean() / tasks + np.square(e).mean() / values.size)


def pigeonhole_ci95(values: NDArray[np.floating]) -> Interval:
    """Mean of finite values [S, T] and its 95% interval, S seeds and T tasks both being samples.

    The pigeonhole bootstrap resamples rows and columns independently; an axis of length 1 is kept as it is. The
    interval is Hesterberg's expanded percentile interval (`expanded_tail`), where n is the length of the shorter axis
    that is resampled: of the seeds, if there are fewer than tasks.

    Of n rows none can be resampled beyond n times the lowest, which has probability n⁻ⁿ. For n ≤ 4 the tail asked for
    is smaller than that, and percentiles would end too soon: those of 2 rows near the rows themselves, which have the
    mean between them half the time. There the interval is mean ± √(n/(n−1))·t_{α/2,n−1}·√variance, with
    `pigeonhole_variance`: what the expanded percentiles are made to be where resampled means are normal.

    The resamples are the same in every call: values + c moves the interval by c, −values mirrors it, and equal values
    make it a point. Rows or columns in another order meet other resamples: percentiles then differ by Monte-Carlo
    error, and variances not at all.

    Sources: Owen (2007) and Hesterberg (2015), as above.
    """
    values = np.asarray(values, dtype=np.float64)
    origin = values[0, 0]
    centred = values - origin  # equal values make zeros, without rounding
    mean = float(origin + centred.mean())
    sampled = [length for length in values.shape if length > 1]
    if not sampled:
        return Interval(mean, math.nan, math.nan)
    count = min(sampled)
    tail = expanded_tail(count)
    if math.log(tail) < -count * math.log(count):
        half = _expanded_t(count) * math.sqrt(pigeonhole_variance(centred))
        return Interval(mean, mean - half, mean + half)
    low, high = origin + np.quantile(_resampled_means(centred), [tail, 1 - tail])
    return Interval(mean, float(low), float(high))


def _resampled_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means [RESAMPLES] of values [S, T] with rows and columns resampled."""
    seeds, tasks = values.shape
    generator = np.random.default_rng(0)
    means = np.empty(RESAMPLES)
    block = max(1, BLOCK_NUMBERS // tasks)
    for first in range(0, RESAMPLES, block):
        part = means[first : first + block]
        n, m = (_counts(generator, len(part), length) for length in (seeds, tasks))
        # Not `@`: on matrices this small BLAS waits for its threads many times longer than it computes.
        part[:] = np.einsum("rs,rs->r", n, np.einsum("rt,st->rs", m, values)) / values.size
    return means


def _counts(generator: np.random.Generator, resamples: int, length: int) -> NDArray[np.float64]:
    """How often each of `length` things is drawn in as many draws with replacement: [resamples, length]."""
    drawn = generator.integers(0, length, (resamples, length)) + length * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)
