"""Whether our numbers are the published ones.

A published interval is taken as it stands: ours must lie in it. A value without one, from runs of another
implementation, is compared as two samples are. With n of our seeds and n' of theirs, of standard deviations s and s',

    s_p² = ((n − 1)·s² + (n' − 1)·s'²) / (n + n' − 2),

and with T and T' test tasks on which our error, meaned over seeds, has the variance v, the two means should differ by

    no more than t_{n+n'−2} · √( s_p²·(1/n + 1/n') + v·(1/T + 1/T') ),

where n' = 1 for a value from one run: it is then a prediction interval. (Student's two-sample t test with one pooled
variance; the second term is there because each side has drawn test tasks of its own, which all its seeds share.) Where
all our seeds found the same numbers, as of what trains nothing, seeds have no spread, and what is left are test tasks:
no more than t_{T−1}·√(v·(1/T + 1/T')), beside a value of one run. All
comparisons of this kind in a recipe, m of them, hold together 95 times in 100: each is made at 1 − 0.05/m (Bonferroni).

Some trained networks stand at the edge of stability: on one test task in thousands, adaptation runs away to infinity,
and the mean of that seed says nothing but this. A finite published mean is of seeds on which that did not happen, so it
is compared with ours on which it did not; the others are counted and named beside the verdict. A published interval
knows no such exception.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mamlzoo.contracts.recipes import Reference
from mamlzoo.experiments.metrics import Evaluation
from mamlzoo.statistics import t_quantile
from mamlzoo.tables import count

EXACTLY = 1e-5
"""How far, relatively, float32 may take a number that is known exactly."""
RUNAWAY = 100.0
"""A fit ran away whose error after the last step is so many times the mean error before adaptation, or not finite."""


@dataclass(frozen=True)
class Judgement:
    """Ours beside theirs.

    Attributes:
        what: which number.
        ours, half: our mean and the half-width of its 95% interval; NaN where there is none.
        theirs: the published number.
        allowed: how far ours may be from it; NaN where one seed is left on each side, so that no spread is known.
        source: where it was published.
        judged: whether it counts.
    """

    what: str
    ours: float
    half: float
    theirs: float
    allowed: float
    source: str
    judged: bool = True

    @property
    def passed(self) -> bool:
        """Whether ours is where theirs allows."""
        return abs(self.ours - self.theirs) <= self.allowed  # not so if ours is not finite

    @property
    def verdict(self) -> str:
        """In a word."""
        if not self.judged:
            return "within" if self.passed else "outside"
        if math.isnan(self.allowed) and not math.isnan(self.ours):
            return "no verdict"
        return "pass" if self.passed else "FAIL"


def judge(reference: Reference, at: int, evaluation: Evaluation, diverged: int, comparisons: int) -> Judgement:
    """Our test metric beside one value of a reference.

    Args:
        at: which of the reference's values.
        diverged: how many of our seeds diverged; if any did, ours is no number.
        comparisons: how many values of the recipe are compared as samples.
    """
    if reference.is_sampled:
        evaluation = without_runaways(evaluation)
    step = reference.steps[at]
    mean = math.nan if diverged else float(evaluation.mean[step])
    return Judgement(
        what=f"{reference.run}, {evaluation.metric} after {count(step, 'step')}",
        ours=mean,
        half=float(evaluation.ci95[step]),
        theirs=reference.values[at],
        allowed=_allowed(reference, at, evaluation, comparisons),
        source=reference.source,
        judged=reference.judged,
    )


def runaways(evaluation: Evaluation) -> list[int]:
    """The rows of seeds on which adaptation ran away on some test task."""
    values = evaluation.main
    with np.errstate(invalid="ignore", over="ignore"):  # that is what is looked for
        most = np.inf if evaluation.higher_is_better else RUNAWAY * values[..., 0].mean(1, keepdims=True)
        calm = np.isfinite(values[..., -1]) & (values[..., -1] <= most)
    return [row for row in evaluation.rows if not calm[row].all()]


def without_runaways(evaluation: Evaluation) -> Evaluation:
    """The same test, of the seeds on which adaptation ran away nowhere."""
    away = runaways(evaluation)
    return replace(evaluation, rows=[row for row in evaluation.rows if row not in away])


def exact(what: str, ours: float, theirs: float, source: str) -> Judgement:
    """A number that must be the same."""
    return Judgement(what, ours, math.nan, theirs, EXACTLY * abs(theirs), source)


def _allowed(reference: Reference, at: int, evaluation: Evaluation, comparisons: int) -> float:
    if reference.exact:
        return EXACTLY * abs(reference.values[at])
    if reference.halves is not None:
        return reference.halves[at]
    rows = list(evaluation.rows)[: 1 if evaluation.seeds_alike else None]  # seeds that are alike are one
    values = evaluation.main[rows, :, reference.steps[at]].astype(np.float64)
    ours, theirs = len(values), reference.seeds
    degrees, of_seeds = ours + theirs - 2, 0.0
    if evaluation.seeds_alike and theirs == 1:
        degrees = values.shape[1] - 1
    elif ours and degrees > 0:
        squares = (ours - 1) * _variance(values.mean(1)) + (theirs - 1) * _spread(reference, at) ** 2
        of_seeds = squares / degrees * (1 / ours + 1 / theirs)
    if not ours or degrees < 1:
        return math.nan
    of_tasks = _variance(values.mean(0)) * (1 / values.shape[1] + 1 / reference.tasks)
    return t_quantile(degrees, 1 - 0.05 / max(1, comparisons)) * math.sqrt(of_seeds + of_tasks)


def _spread(reference: Reference, at: int) -> float:
    return reference.sd[at] if reference.sd is not None else 0.0


def _variance(sample: np.ndarray) -> float:
    with np.errstate(invalid="ignore", over="ignore"):  # a diverged fit is data here
        return float(sample.var(ddof=1)) if len(sample) > 1 else 0.0
