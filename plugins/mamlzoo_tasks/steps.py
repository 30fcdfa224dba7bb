"""Steps: functions that jump between −1 and 1 at a few places."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from mamlzoo import UsageError, option
from mamlzoo_tasks.noisy_curves import NoisyCurves, Uniform


class Steps(NoisyCurves):
    """Regress a function that jumps between −1 and 1 at n places: y = (−1)^(number of s_i below x + 1) + ε.

    The places s_1 … s_n of an episode are uniform in [step-min, step-max]; left of all of them y is −1. x ~ U(−5, 5),
    and ε of variance 0.05 lies on support and training query targets. A test is judged on a grid of `test-points` even
    inputs without noise. Where a jump is, is known between two points at best, so that no error is 0 but by chance.

    Loss: mean squared error, which is 1 for who answers 0.

    Reference: Harrison, Sharma, Pavone, "Meta-Learning Priors for Efficient Online Bayesian Regression", WAFR 2018,
    section 6; the repository StanfordASL/ALPaCA, multistep-config.yml, whose range of x is that of its sine waves and
    was not read. It has 50 points of which any number are the support set; here 10 by default.
    """

    name = "steps"
    queries: int = option(40, "query points of a training episode", minimum=1)
    test_points: int = option(100, "grid points that a test episode is judged on", minimum=1)
    steps: int = option(3, "places of a jump, n", minimum=1)
    step_min: float = option(-2.5, "left end of the places")
    step_max: float = option(2.5, "right end of the places")
    noise: float = option(math.sqrt(0.05), "standard deviation of noise, the test grid's excepted", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.step_min, self.step_max
        if low > high:
            raise UsageError(f"task 'steps': step_min must not exceed step_max, {low:g} > {high:g}")

    def _functions(self, count: int, uniform: Uniform) -> Callable[[Tensor], Tensor]:
        places = uniform(self.step_min, self.step_max, count, 1, self.steps)
        return lambda x: 2.0 * ((x > places).sum(-1, keepdim=True) % 2) - 1
