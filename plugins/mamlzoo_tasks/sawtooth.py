"""Saw teeth: a wave that no Gaussian process gives."""

from __future__ import annotations

import dataclasses

import torch

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, Split, option
from mamlzoo_tasks.regression import RegressionTask


class Sawtooth(RegressionTask):
    """Regress a sawtooth wave from a few of its points: y = ω·(±x − s) mod 1, with jumps that no smooth prior has.

    For each episode the frequency ω is uniform in its range, the sign + or − and the shift s uniform over a period,
    [0, 1/ω]. All inputs are uniform in [x-min, x-max]; the same noise is on all targets. With `grid` a test is judged
    on evenly spaced points of the wave itself.

    Loss: mean squared error. Algorithms that predict a distribution are reported by its `nll` too, which is minus the
    log likelihood of a target: without noise it has no floor.

    Reference: Gordon et al., "Convolutional Conditional Neural Processes", ICLR 2020, section 5.1; the ranges are
    those of the repository wesselb/neuralprocesses.
    """

    name = "sawtooth"
    shots: int | Range = option(Range(0, 30), "support points of an episode, or a range to draw from", minimum=0)
    queries: int = option(100, "query points of a training episode", minimum=1)
    test_points: int = option(100, "points that a test episode is judged on", minimum=1)
    grid: int = option(0, "judge tests on so many even points of the wave without noise instead; 0: no", minimum=0)
    noise: float = option(0.0, "standard deviation of noise on the targets", minimum=0)
    frequency_min: float = option(2.0, "smallest frequency, in waves a unit", above=0)
    frequency_max: float = option(4.0, "largest frequency, in waves a unit", above=0)
    x_min: float = option(-2.0, "left end of the inputs")
    x_max: float = option(2.0, "right end of the inputs")

    spec = Spec(input_shape=(1,), output_size=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("frequency", "x"):
            low, high = getattr(self, f"{name}_min"), getattr(self, f"{name}_max")
            if low > high:
                raise mamlzoo.UsageError(f"task 'sawtooth': {name}_min must not exceed {name}_max, {low:g} > {high:g}")

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        queries = self.queries if split == "train" else self.test_points
        of_wave = torch.rand(3, count, 1, 1, generator=generator, device=generator.device)
        frequency = self.frequency_min + (self.frequency_max - self.frequency_min) * of_wave[0]
        signed, shift = frequency * torch.where(of_wave[1] < 0.5, -1, 1), of_wave[2]  # in periods
        shape = (count, shots + queries, 1)
        x = self.x_min + (self.x_max - self.x_min) * torch.rand(shape, generator=generator, device=generator.device)
        y = (signed * x - shift) % 1
        if self.noise:
            y = y + self.noise * torch.randn(shape, generator=generator, device=generator.device)
        query = Batch(x[:, shots:], y[:, shots:])
        if split != "train" and self.grid:
            even = torch.linspace(self.x_min, self.x_max, self.grid, device=x.device)[:, None].repeat(count, 1, 1)
            query = Batch(even, (signed * even - shift) % 1)
        return Episode(Batch(x[:, :shots], y[:, :shots], mask), query)

    def on_grid(self, points: int) -> Sawtooth:
        """The same waves and support sets, judged on so many even points; for figures."""
        return dataclasses.replace(self, grid=points)
