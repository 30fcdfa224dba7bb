"""What all tasks of sine waves share: options, waves, support sets and grids."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Self

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, Split, option
from mamlzoo_tasks.family import Family


class SineFamily(Family):
    """Waves y = A·sin(ω·x + φ), whatever the ranges: what the notebooks' and the papers' tasks of sines share."""

    shots: int | Range = option(10, "support points of an episode, or a range to draw from, as 1..20", minimum=1)
    queries: int = option(10, "query points of a training episode", minimum=1)
    test_points: int = option(50, "grid points that a test episode is judged on", minimum=1)
    pool: int = option(0, "training waves drawn once and kept; 0: an endless stream", minimum=0)
    noise: float = option(0.0, "standard deviation of noise on the targets, the test grid's excepted", minimum=0)
    amplitude_min: float = option(0.1, "smallest amplitude", minimum=0)
    amplitude_max: float = option(5.0, "largest amplitude", minimum=0)
    phase_min: float = option(0.0, "smallest phase, in radians")
    phase_max: float = option(2 * math.pi, "largest phase, in radians")
    frequency_min: float = option(1.0, "smallest angular frequency", minimum=0)
    frequency_max: float = option(1.0, "largest angular frequency", minimum=0)
    x_min: float = option(-5.0, "left end of the inputs")
    x_max: float = option(5.0, "right end of the inputs")
    support_min: float | None = option(None, "left end of the support inputs; none: x-min")
    support_max: float | None = option(None, "right end of the support inputs; none: x-max")

    spec = Spec(input_shape=(1,), output_size=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        ranges = {
            "amplitude": (self.amplitude_min, self.amplitude_max),
            "phase": (self.phase_min, self.phase_max),
            "frequency": (self.frequency_min, self.frequency_max),
            "x": (self.x_min, self.x_max),
            "support": self.support_range,
        }
        for name, (low, high) in ranges.items():
            if low > high:
                raise mamlzoo.UsageError(
                    f"task '{self.name}': {name}_min must not exceed {name}_max, {low:g} > {high:g}"
                )

    @property
    def support_range(self) -> tuple[float, float]:
        """The interval that support inputs are drawn from."""
        low, high = self.support_min, self.support_max
        return self.x_min if low is None else low, self.x_max if high is None else high

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        if split == "train" and self.pool:
            chosen = torch.randint(self.pool, (count,), generator=generator, device=generator.device)
            wave, support = self._pool
            wave = wave.to(chosen.device)[:, chosen]
            support = mamlzoo.tree_map(lambda leaf: leaf.to(chosen.device)[chosen], support)
        else:
            wave = self._waves(count, generator)
            support = self._support(wave, generator)
        if split == "train":
            query = self._noisy(wave, _uniform(generator, self.x_min, self.x_max, count, self.queries, 1), generator)
        else:
            grid = torch.linspace(self.x_min, self.x_max, self.test_points, device=wave.device)
            x = grid[None, :, None].expand(count, -1, -1).contiguous()
            query = Batch(x, _value(wave, x))
        return Episode(support, query)

    def on_grid(self, points: int) -> Self:
        """The same waves and support sets, judged on so many points; for figures."""
        return dataclasses.replace(self, test_points=points)

    @functools.cached_property
    def _pool(self) -> tuple[Tensor, Batch]:
        """The kept training waves and their support sets: the same for every seed of every run."""
        generator = torch.Generator().manual_seed(0)
        waves = self._waves(self.pool, generator)
        return waves, self._support(waves, generator)

    def _waves(self, count: int, generator: torch.Generator) -> Tensor:
        """[3, count, 1, 1]: amplitude, phase and frequency of each wave."""
        ranges = (
            (self.amplitude_min, self.amplitude_max),
            (self.phase_min, self.phase_max),
            (self.frequency_min, self.frequency_max),
        )
        return torch.stack([_uniform(generator, low, high, count, 1, 1) for low, high in ranges])

    def _support(self, wave: Tensor, generator: torch.Generator) -> Batch:
        """`shots` points of each wave."""
        count = wave.shape[1]
        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        x = _uniform(generator, *self.support_range, count, shots, 1)
        return dataclasses.replace(self._noisy(wave, x, generator), mask=mask)

    def _noisy(self, wave: Tensor, x: Tensor, generator: torch.Generator) -> Batch:
        y = _value(wave, x)
        if self.noise:
            y = y + self.noise * torch.randn(y.shape, generator=generator, device=y.device)
        return Batch(x, y)


def _value(wave: Tensor, x: Tensor) -> Tensor:
    amplitude, phase, frequency = wave
    value: Tensor = amplitude * torch.sin(frequency * x + phase)
    return value


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)
