"""Countries: births per woman over half a century, each country's curve from a few of its years."""

from __future__ import annotations

import csv
import functools
import hashlib
import importlib.util
from pathlib import Path

import torch

from mamlzoo import Episode, GroupEpisodes, MissingDataError, Spec, Split, UsageError, option
from mamlzoo_tasks.regression import RegressionTask

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


class Countries(RegressionTask):
    """Predict a country's births per woman, 1960 to 2011, from five of these years.

    An episode is a country. x is the year, in decades from the middle of 1985, from −2.55 to 2.55; y the total
    fertility rate: the children that a woman would have by the rates of that year. The support set is `shots` random
    years; a training episode is judged on `queries` other years, a test on all the others. Countries of which a year is
    missing are left out, as are rows of several countries.

    Whole countries are held out: those to validate and to test on are divided from the others by `split-seed`, and each
    is one episode, with years drawn once by the run's test-seed, so that intervals are over countries. Curves of
    neighbours resemble each other, and all see the same half century: that is what can be learned across countries.

    Loss: mean squared error. `least-squares` with `degree` 0, 1 and 2, and `interpolation`, are what one country alone
    allows.

    The data come with the package statsmodels: pip install 'mamlzoo[countries]'.

    Source: World Bank, World Development Indicators, SP.DYN.TFRT.IN, under the World Bank's terms of use.
    """

    name = "countries"
    shots: int = option(5, "years to adapt on", minimum=1, maximum=51)
    queries: int = option(20, "other years that a training episode is judged on", minimum=1, maximum=51)
    valid: float = option(0.2, "fraction of the countries to validate on, one at least", minimum=0, maximum=1)
    test: float = option(0.2, "fraction of the countries to test on, one at least", minimum=0, maximum=1)
    split_seed: int = option(0, "which division of the countries", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shots + self.queries > len(YEARS):
            raise UsageError(
                f"task 'countries': shots + queries must be at most the {len(YEARS)} years that there are, not "
                f"{self.shots} + {self.queries}"
            )

    @functools.cached_property
    def spec(self) -> Spec:
        counts = {split: len(part.names) for split, part in self._parts.items()}
        return Spec((1,), 1, valid_episodes=counts["valid"], test_episodes=counts["test"])

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        queries = self.queries if split == "train" else len(YEARS) - self.shots
        return self._parts[split].draw(
            count, shots=self.shots, queries=queries, generator=generator, in_turn=split != "train"
        )

    def data_digest(self) -> str:
        return hashlib.sha256(_file().read_bytes()).hexdigest()

    @functools.cached_property
    def _parts(self) -> dict[Split, GroupEpisodes]:
        episodes = _episodes(_file())
        try:
            return episodes.split(valid=self.valid, test=self.test, seed=self.split_seed)
        except UsageError as error:
            raise UsageError(f"task 'countries': {error}") from None


def _file() -> Path:
    """Where statsmodels keeps the curves; nothing of it is imported, which would take seconds.

    Raises:
        MissingDataError: it is not installed.
        UsageError: it no longer has them.
    """
    found = importlib.util.find_spec("statsmodels")
    if found is None or found.origin is None:
        raise MissingDataError(
            "task 'countries': the data come with statsmodels, which is not installed: pip install 'mamlzoo[countries]'"
        )
    file = Path(found.origin).parent / "datasets" / "fertility" / "fertility.csv"
    if not file.is_file():
        raise UsageError(f"task 'countries': statsmodels has no file {file} any more; choose another version of it")
    return file


@functools.cache
def _episodes(file: Path) -> GroupEpisodes:
    """The years of every complete country, read once."""
    names, x, y = [], [], []
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            country = row["Country Name"]
            if country not in OF_SEVERAL_COUNTRIES and all(row[str(year)] for year in YEARS):
                names += [country] * len(YEARS)
                x += [[(year - MIDDLE) / UNIT] for year in YEARS]
                y += [[float(row[str(year)])] for year in YEARS]
    return GroupEpisodes(torch.tensor(x), torch.tensor(y), names)
