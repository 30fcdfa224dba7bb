"""Substances: heat capacities of gases against temperature, each gas's curve from a few of its temperatures."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor

from mamlzoo import GroupEpisodes
from mamlzoo_tasks.packaged_curves import PackagedCurves

TEMPERATURES = [100.0 * hundreds for hundreds in range(3, 61)]
"""In kelvin."""
MIDDLE = math.sqrt(300.0 * 6000.0)
"""Of the temperatures, as logarithms."""


class Substances(PackagedCurves):
    """Predict a gas's heat capacity, from 300 to 6,000 K, from its values at five of these temperatures.

    An episode is a gas. x is ln(T / 1342 K), from −1.5 to 1.5, of the 58 temperatures T = 300, 400, …, 6000 K; y is
    ln Cp of the molar heat capacity Cp in J/(mol·K), at constant pressure. The support set is `shots` random
    temperatures; a training episode is judged on `queries` others, a test on all the others. The tables were computed
    from measured spectra by statistical mechanics, and so have no noise. Gases whose heat capacity is 5/2·R at all
    temperatures, as helium's, are left out: they are one curve.

    Whole gases are held out: those to validate and to test on are divided from the others by `split-seed`, and each is
    one episode, with temperatures drawn once by the run's test-seed, so that intervals are over gases. Curves are
    alike, since vibrations wake one after another as it gets hotter; that is what can be learned across gases.

    Loss: mean squared error. `least-squares` of any `degree`, and `interpolation`, are what one gas alone allows.
    `mamlzoo adapt` takes and shows temperatures in kelvin, and logarithms of J/(mol·K).

    The data come with the package chemicals: pip install 'mamlzoo[substances]'.

    Source: Chase, NIST-JANAF Thermochemical Tables, 4th edition, 1998, as in chemicals.
    """

    name = "substances"
    package, place = "chemicals", ("Heat Capacity", "JANAF_1998_gas_Cp.json")
    points, called, along = len(TEMPERATURES), "temperatures", "temperatures in kelvin, above 0"

    def to_input(self, measured: Tensor) -> Tensor:
        return (measured / MIDDLE).log()

    def to_measured(self, x: Tensor) -> Tensor:
        return x.exp() * MIDDLE

    @classmethod
    def curves(cls, file: Path) -> GroupEpisodes:
        names, x, y = [], [], []
        for gas, (kelvin, capacity) in json.loads(file.read_bytes()).items():
            of = dict(zip(kelvin, capacity, strict=True))
            curve = [math.log(of[at]) for at in TEMPERATURES if at in of]
            if len(curve) == len(TEMPERATURES) and max(curve) > min(curve):
                names += [gas] * len(TEMPERATURES)
                x += [[math.log(at / MIDDLE)] for at in TEMPERATURES]
                y += [[value] for value in curve]
        return GroupEpisodes(torch.tensor(x), torch.tensor(y), names)
