"""Substances: the heat capacity of a gas against temperature, each gas's curve from a few of its points."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import torch

from mamlzoo import GroupEpisodes, Points, UsageError
from mamlzoo_tasks import packaged_data
from mamlzoo_tasks.tabulated_curves import TabulatedCurves

TEMPERATURES = range(200, 3001, 100)
"""In kelvin."""
MIDDLE = 775.0
"""Kelvin of which the input is 0: the logarithm's middle of the temperatures."""
UNIT = 100.0
"""J/(mol·K) that a target counts as 1."""


class Substances(TabulatedCurves):
    """Predict a gas's heat capacity, 200 to 3,000 K, from five of these temperatures.

    An episode is a substance as an ideal gas. x = ln(T / 775 K), from −1.35 to 1.35, of T = 200, 300, …, 3000 K;
    y = C_p / (100 J/(mol·K)), the molar heat capacity at constant pressure. The support set is `shots` random
    temperatures; a training episode is judged on `queries` others, a test on all the others.

    Of molecules that turn as rigid bodies and vibrate in springs, with frequencies ν_i,

      C_p(T) = C_0 + R·Σ_i u_i²·e^(u_i)/(e^(u_i) − 1)²,   u_i = h·ν_i / (k·T),

    with C_0 of motion and turning and the constants of gases, Planck and Boltzmann, so a curve rises from one level to
    another, vibration by vibration; bonds that are no springs let it rise on, and electrons in low states make it fall.
    What can be learned across substances is which of these shapes there are.

    The values are the entries of a table, each computed from measured or estimated molecular constants: they are
    without noise, and no calorimeter's readings. Substances that lack a temperature are left out; those whose curves
    are the same, as of atoms that only move, are in once. Many of the others resemble each other, as a molecule and its
    ion. Whole substances are held out: those to validate and to test on are divided from the others by `split-seed`,
    and each is one episode, with temperatures drawn once by the run's test-seed, so that intervals are over substances.

    Loss: mean squared error, of (100 J/(mol·K))², in which large molecules weigh most. `least-squares` with `degree` 1
    to 3, and `interpolation`, are what one substance alone allows. `mamlzoo adapt` takes and predicts kelvin (x) and
    J/(mol·K) (y).

    The data come with the package chemicals: pip install 'mamlzoo[substances]'.

    Source: Chase, "NIST-JANAF Thermochemical Tables", 4th edition, 1998.
    """

    name = "substances"
    points = len(TEMPERATURES)
    points_are = "temperatures"

    def read(self, path: Path, *, support: Points | None = None) -> Points:
        points = super().read(path, support=support)
        if points.x.min() <= 0:
            raise UsageError(f"{path}: x must be temperatures in kelvin, above 0, not {points.x.min():g}")
        y = None if points.y is None else points.y / UNIT
        return dataclasses.replace(points, x=torch.as_tensor(points.x / MIDDLE).log().numpy(), y=y)

    def in_units(self, points: Points) -> Points:
        y = None if points.y is None else points.y * UNIT
        return dataclasses.replace(points, x=(MIDDLE * torch.as_tensor(points.x).exp()).numpy(), y=y)

    def _file(self) -> Path:
        return packaged_data.file_of(self.name, "chemicals", "Heat Capacity/JANAF_1998_gas_Cp.json")

    def _read(self, file: Path) -> GroupEpisodes:
        return _curves(file)


@functools.cache
def _curves(file: Path) -> GroupEpisodes:
    """The heat capacities of every complete substance by its CAS number, read once."""
    numbers: dict[tuple[float, ...], str] = {}
    for number, (temperatures, capacities) in json.loads(file.read_text(encoding="utf-8")).items():
        at = dict(zip(temperatures, capacities, strict=True))
        if all(kelvin in at for kelvin in TEMPERATURES):
            numbers.setdefault(tuple(at[kelvin] for kelvin in TEMPERATURES), number)
    x = torch.tensor(TEMPERATURES).div(MIDDLE).log().repeat(len(numbers))
    y = torch.tensor(list(numbers)) / UNIT
    names = [number for number in numbers.values() for _ in TEMPERATURES]
    return GroupEpisodes(x[:, None], y.reshape(-1, 1), names)
