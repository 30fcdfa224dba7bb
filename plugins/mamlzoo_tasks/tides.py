"""Tides: a harbour's height from a few readings, the sine family's sibling of the real world."""

from __future__ import annotations

import dataclasses
import functools
import random

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, Split, UsageError, option
from mamlzoo_tasks import tide_stations
from mamlzoo_tasks.measured import MeasuredTask

YEARS = 19
"""Windows begin anywhere in them: after so long sun and moon stand nearly as before."""
HOURS = 24 * 365.25 * YEARS
UNIT = 3.0
"""Hours that an input counts as 1: over a day inputs go from -4 to 4, a little less than those of `sine`."""


class Tides(MeasuredTask):
    """Predict a harbour's tide over a day from a few readings: h(t) = Σ_c A_c·cos(σ_c·t − g_c).

    An episode is a harbour and a window of `days` that begins at a random time. x is the time from the middle of the
    window in units of three hours, so that a day goes from −4 to 4; y the height in metres above the harbour's mean
    level. The speeds σ_c of the constituents are astronomy and the same everywhere; amplitudes A_c and phases g_c are
    the harbour's own. What can be learned across harbours is which speeds there are, how large each is, and which go
    together. Support and training queries are at random times of the window; a test is judged on `test-points` even
    ones.

    1,079 stations come with the package, most of them in the United States: harmonic constants, so that the heights
    are those of a tide table, without weather; `noise` puts some on the readings. Whole harbours are held out: those
    to validate and to test on are divided from the others by `split-seed`, and each is one episode, with a window and
    readings drawn once by the run's test-seed, so that intervals are over harbours. Some have neighbours a few
    kilometres away that are trained on.

    Loss: mean squared error, m². Metrics: it, and the mean absolute error, m. `harmonic-least-squares` is the classical
    way, which knows the speeds and, but for λ, no other harbour. `mamlzoo adapt` takes and shows hours since the window
    began.

    Source: the free harmonics file of XTide, of 2019, of which every record that was kept is in the public domain;
    mamlzoo_tasks/tide_data says more. Not for navigation.
    """

    name = "tides"
    along = "hours"
    shots: int | Range = option(10, "readings to adapt on, or a range to draw from, as 1..20", minimum=1)
    queries: int = option(20, "query times of a training episode", minimum=1)
    test_points: int = option(100, "even times of the window that a test episode is judged on", minimum=1)
    days: float = option(1.0, "length of the window, in days", above=0)
    noise: float = option(
        0.0, "standard deviation of noise on readings, in metres, the test's even times excepted", minimum=0
    )
    valid: float = option(0.2, "fraction of the harbours to validate on, one at least", minimum=0, maximum=1)
    test: float = option(0.2, "fraction of the harbours to test on, one at least", minimum=0, maximum=1)
    split_seed: int = option(0, "which division of the harbours", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._harbours["train"]:
            raise UsageError(
                f"task 'tides': {len(self._harbours['valid'])} harbours to validate on and "
                f"{len(self._harbours['test'])} to test on leave none of {len(tide_stations.stations().names)} to "
                "train on; lower valid or test"
            )

    @functools.cached_property
    def spec(self) -> Spec:
        return Spec(
            input_shape=(1,),
            output_size=1,
            valid_episodes=len(self._harbours["valid"]),
            test_episodes=len(self._harbours["test"]),
        )

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        device, there = generator.device, torch.tensor(self._harbours[split], device=generator.device)
        if split == "train":
            station = there[torch.randint(len(there), (count,), generator=generator, device=device)]
        else:
            station = there[torch.arange(count, device=device) % len(there)]
        start = HOURS * torch.rand(count, generator=generator, device=device, dtype=torch.float64)
        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        queries = self.queries if split == "train" else 0
        half = 12 * self.days / UNIT
        x = half * (2 * torch.rand(count, shots + queries, generator=generator, device=device) - 1)
        points = self._points(station, start, x)
        if self.noise:
            noise = self.noise * torch.randn(points.y.shape, generator=generator, device=device)
            points = Batch(points.x, points.y + noise)
        support = Batch(points.x[:, :shots], points.y[:, :shots], mask)
        if split == "train":
            return Episode(support, Batch(points.x[:, shots:], points.y[:, shots:]))
        even = torch.linspace(-half, half, self.test_points, device=device).repeat(count, 1)
        return Episode(support, self._points(station, start, even))

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return super().metrics(prediction, target) | {"mae": (prediction - target).abs().mean()}

    def to_input(self, measured: Tensor) -> Tensor:
        return (measured - 12 * self.days) / UNIT

    def to_measured(self, x: Tensor) -> Tensor:
        return x * UNIT + 12 * self.days

    def on_grid(self, points: int) -> Tides:
        """The same windows and readings, judged at so many even times; for figures."""
        return dataclasses.replace(self, test_points=points)

    def data_digest(self) -> str:
        return tide_stations.digest()

    def _points(self, station: Tensor, start: Tensor, x: Tensor) -> Batch:
        """What the tide is at inputs [count, points] of windows that begin at `start`."""
        hours = UNIT * x + 12 * self.days
        return Batch(x[..., None], tide_stations.heights(station, start, hours).float()[..., None])

    @functools.cached_property
    def _harbours(self) -> dict[Split, list[int]]:
        """The stations of each split, by number."""
        count = len(tide_stations.stations().names)
        shuffled = random.Random(self.split_seed).sample(range(count), count)
        valid, test = (max(1, round(share * count)) for share in (self.valid, self.test))
        return {
            "valid": shuffled[:valid],
            "test": shuffled[valid : valid + test],
            "train": shuffled[valid + test :],
        }
