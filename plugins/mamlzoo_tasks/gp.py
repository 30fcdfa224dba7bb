"""Curves that a Gaussian process gives."""

from __future__ import annotations

from mamlzoo_tasks.gp_family import GPFamily


class GP(GPFamily):
    """Regress a curve that a Gaussian process gave, from a few of its points: f ~ GP(0, k), y = f(x) + noise.

    With the distance d = |x − x′|, length ℓ, scale s and period p, which are uniform in their ranges for each episode:

      rbf              k = s²·exp(−d²/2ℓ²), also called EQ
      matern           k = s²·(1 + r + r²/3)·e⁻ʳ with r = √5·d/ℓ, the Matérn kernel of smoothness 5/2
      periodic         k = s²·exp(−2·sin²(πd/p)/ℓ²)
      weakly-periodic  k = s²·exp(−d²/2ℓ² − 2·sin²(πd/p))

    All inputs are uniform in [x-min, x-max], and all targets have noise, those of a test too: so the likelihood that
    papers report is one of noisy targets, and `exact-gp` is its ceiling. With `grid` a test is judged on evenly spaced
    points of the curve itself instead. With `tell` inputs have three columns more, log ℓ, log s and log p, so that who
    is told the episode's kernel can be compared with who is not.

    Loss: mean squared error. Algorithms that predict a distribution are reported by its `nll` too, which is minus the
    log likelihood of a target.

    The defaults are the `eq` of the repository wesselb/neuralprocesses; there `matern` has the same ranges. Papers'
    other ranges are tasks of their own: `gp-weakly-periodic`, `gp-cnp`, `gp-anp` and `gp-tnp`.

    Reference: Bruinsma et al., "Autoregressive Conditional Neural Processes", ICLR 2023, appendix.
    """

    name = "gp"
