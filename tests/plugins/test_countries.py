"""Countries: years, splits, and what is said where the data are not there."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from mamlzoo.errors import UsageError
from mamlzoo_tasks import countries
from mamlzoo_tasks.countries import Countries

needs_data = pytest.mark.skipif(
    importlib.util.find_spec("statsmodels") is None, reason="the data come with statsmodels: mamlzoo[countries]"
)


def sample(task, count=10, split="train", seed=0):
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(seed))


@needs_data
def test_a_test_is_on_all_years_that_were_not_seen():
    support, query = sample(Countries(), 37, "test")
    years = (torch.cat([support.x, query.x], 1)[..., 0] * 10 + 1985.5).round().sort(1).values
    assert torch.equal(years, torch.arange(1960.0, 2012).expand(37, -1))


@needs_data
def test_births_are_those_of_the_file():
    # India, by the World Bank: 5.87 in 1960, 2.53 in 2011.
    whole = Countries.curves(Countries.file())
    support, query = whole.only(["India"]).draw(1, shots=5, queries=47, generator=torch.Generator().manual_seed(0))
    x, y = (torch.cat([a, b], 1)[0, :, 0] for a, b in zip(support, query, strict=True))
    assert float(y[x.argmin()]) == pytest.approx(5.87, abs=0.01)
    assert float(y[x.argmax()]) == pytest.approx(2.53, abs=0.01)


@needs_data
def test_no_country_is_in_two_splits_and_none_is_several_countries():
    parts = [set(part.names) for part in Countries()._parts.values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 188
    assert not set.union(*parts) & countries.OF_SEVERAL_COUNTRIES


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"task 'countries': the data come with statsmodels.*pip install 'mamlzoo\["):
        _ = Countries(split_seed=1).spec


def test_more_years_than_there_are_are_refused():
    with pytest.raises(UsageError, match=r"at most the 52 years that there are, not 40 \+ 20"):
        Countries(shots=40)
