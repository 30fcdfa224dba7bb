"""Steps: functions that jump between −1 and 1 at a few places."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, Split, UsageError, option


class Steps(mamlzoo.Task):
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
    shots: int | Range = option(10, "support points of an episode, or a range to draw from, as 1..20", minimum=1)
    queries: int = option(40, "query points of a training episode", minimum=1)
    test_points: int = option(100, "grid points that a test episode is judged on", minimum=1)
    steps: int = option(3, "places of a jump, n", minimum=1)
    step_min: float = option(-2.5, "left end of the places")
    step_max: float = option(2.5, "right end of the places")
    noise: float = option(math.sqrt(0.05), "standard deviation of noise, the test grid's excepted", minimum=0)

    spec = Spec(input_shape=(1,), output_size=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.step_min, self.step_max
        if low > high:
            raise UsageError(f"task 'steps': step_min must not exceed step_max, {low:g} > {high:g}")

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        def even(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)

        places = even(self.step_min, self.step_max, count, 1, self.steps)

        def value(x: Tensor) -> Tensor:
            return 2.0 * ((x > places).sum(-1, keepdim=True) % 2) - 1

        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        x = even(-5, 5, count, shots + (self.queries if split == "train" else 0), 1)
        y = value(x)
        y = y + self.noise * torch.randn(y.shape, generator=generator, device=y.device)
        support = Batch(x[:, :shots], y[:, :shots], mask)
        if split == "train":
            return Episode(support, Batch(x[:, shots:], y[:, shots:]))
        grid = torch.linspace(-5, 5, self.test_points, device=x.device)[:, None].repeat(count, 1, 1)
        return Episode(support, Batch(grid, value(grid)))

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square().mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"mse": self.loss(prediction, target)}

    def on_grid(self, points: int) -> Steps:
        """The same functions and support sets, judged on so many points; for figures."""
        return dataclasses.replace(self, test_points=points)
