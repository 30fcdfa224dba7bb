"""Substances: temperatures, splits, and what is said where the data are not there."""

from __future__ import annotations

import importlib.util
import math

import pytest
import torch

from mamlzoo.errors import MissingDataError, UsageError
from mamlzoo_tasks.substances import Substances

needs_data = pytest.mark.skipif(
    importlib.util.find_spec("chemicals") is None, reason="the data come with chemicals: mamlzoo[substances]"
)
WATER = "7732-18-5"


@needs_data
def test_a_test_is_on_all_temperatures_that_were_not_seen():
    task = Substances()
    support, query = task.sample(5, split="test", generator=torch.Generator().manual_seed(0))
    kelvin = (torch.cat([support.x, query.x], 1)[..., 0].exp() * math.sqrt(300 * 6000)).round().sort(1).values
    assert torch.equal(kelvin, torch.arange(300.0, 6001, 100).expand(5, -1))


@needs_data
def test_the_heat_capacity_of_steam_is_that_of_the_tables():
    # NIST-JANAF, H2O(g): 33.596 J/(mol K) at 300 K, 41.268 at 1000 K.
    steam = Substances.curves(Substances.file()).only([WATER])
    support, query = steam.draw(1, shots=5, queries=53, generator=torch.Generator().manual_seed(0))
    x, y = (torch.cat([a, b], 1)[0, :, 0] for a, b in zip(support, query, strict=True))
    of = dict(zip((x.exp() * math.sqrt(300 * 6000)).round().tolist(), y.exp().tolist(), strict=True))
    assert (of[300.0], of[1000.0]) == pytest.approx((33.596, 41.268), abs=2e-3)


@needs_data
def test_no_gas_is_in_two_splits_and_none_is_constant():
    parts = [part.names for part in Substances()._parts.values()]
    names = [name for part in parts for name in part]
    assert len(names) == len(set(names)) > 800
    assert "7440-59-7" not in names  # helium


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDataError, match=r"^task 'substances': the data come with chemicals, which is not"):
        Substances.file()


def test_more_temperatures_than_there_are_are_refused():
    with pytest.raises(UsageError, match=r"at most the 58 temperatures that there are, not 40 \+ 20"):
        Substances(shots=40)
