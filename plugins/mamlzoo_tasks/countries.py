"""Countries: births per woman over half a century, each country's curve from a few of its years."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from torch import Tensor

from mamlzoo import GroupEpisodes
from mamlzoo_tasks.packaged_curves import PackagedCurves

YEARS = range(1960, 2012)
MIDDLE = 1985.5
"""Of the years."""
UNIT = 10.0
"""Years that an input counts as 1."""
OF_SEVERAL_COUNTRIES = {
    "Latin America & Caribbean (all income levels)",
    "OECD members",
    "Other small states",
    "Pacific island small states",
    "Sub-Saharan Africa (IFC classification)",
}
"""Rows of the file that are means of others."""


class Countries(PackagedCurves):
    """Predict a country's births per woman, 1960 to 2011, from five of these years.

    An episode is a country. x is the year, in decades from the middle of 1985, from −2.55 to 2.55; y the total
    fertility rate: the children that a woman would have by the rates of that year. The support set is `shots` random
    years; a training episode is judged on `queries` other years, a test on all the others. Countries of which a year is
    missing are left out, as are rows of several countries.

    Whole countries are held out: those to validate and to test on are divided from the others by `split-seed`, and each
    is one episode, with years drawn once by the run's test-seed, so that intervals are over countries. Curves of
    neighbours resemble each other, and all see the same half century: that is what can be learned across countries.

    Loss: mean squared error. `least-squares` with `degree` 0, 1 and 2, and `interpolation`, are what one country alone
    allows. `mamlzoo adapt` takes and shows years.

    The data come with the package statsmodels: pip install 'mamlzoo[countries]'.

    Source: World Bank, World Development Indicators, SP.DYN.TFRT.IN, under the World Bank's terms of use.
    """

    name = "countries"
    package, place = "statsmodels", ("datasets", "fertility", "fertility.csv")
    points, called, along = len(YEARS), "years", "years"

    def to_input(self, measured: Tensor) -> Tensor:
        return (measured - MIDDLE) / UNIT

    def to_measured(self, x: Tensor) -> Tensor:
        return x * UNIT + MIDDLE

    @classmethod
    def curves(cls, file: Path) -> GroupEpisodes:
        names, x, y = [], [], []
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                country = row["Country Name"]
                if country not in OF_SEVERAL_COUNTRIES and all(row[str(year)] for year in YEARS):
                    names += [country] * len(YEARS)
                    x += [[(year - MIDDLE) / UNIT] for year in YEARS]
                    y += [[float(row[str(year)])] for year in YEARS]
        return GroupEpisodes(torch.tensor(x), torch.tensor(y), names)
