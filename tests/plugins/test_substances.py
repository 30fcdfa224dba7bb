"""Substances: temperatures, values, splits, a user's own units, and what is said where the data are not there."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from mamlzoo.errors import MissingDataError, UsageError
from mamlzoo_tasks.substances import Substances, _curves

needs_data = pytest.mark.skipif(
    importlib.util.find_spec("chemicals") is None, reason="the data come with chemicals: mamlzoo[substances]"
)


def curve(number):
    """All temperatures in kelvin and heat capacities in J/(mol·K) of the substance of this CAS number, in order."""
    there = _curves(Substances()._file()).only([number])
    support, query = there.draw(1, shots=5, queries=24, generator=torch.Generator().manual_seed(0))
    x, y = (torch.cat([a, b], 1)[0, :, 0] for a, b in zip(support, query, strict=True))
    order = x.argsort()
    return 775 * x[order].exp(), 100 * y[order]


@needs_data
def test_a_test_is_on_all_temperatures_that_were_not_seen():
    support, query = Substances().sample(168, split="test", generator=torch.Generator().manual_seed(0))
    kelvin = (torch.cat([support.x, query.x], 1)[..., 0].exp() * 775).round().sort(1).values
    assert torch.equal(kelvin, torch.arange(200.0, 3001, 100).expand(168, -1))


@needs_data
def test_heat_capacities_are_those_of_the_printed_table():
    # Water, by Chase 1998: 33.349 J/(mol·K) at 200 K, 41.268 at 1,000 K, 55.748 at 3,000 K.
    kelvin, capacity = curve("7732-18-5")
    shown = dict(zip(kelvin.round().int().tolist(), capacity.tolist(), strict=True))
    assert [shown[at] for at in (200, 1000, 3000)] == pytest.approx([33.349, 41.268, 55.748], abs=1e-3)


@needs_data
def test_carbon_monoxide_is_a_rigid_rotor_with_one_vibration():
    # (7/2)·R and an Einstein function of the vibration of 2,143 1/cm; the table knows of anharmonicity, too.
    kelvin, capacity = curve("630-08-0")
    u = 1.4388 * 2143 / kelvin
    einstein = u.square() * u.exp() / (u.exp() - 1).square()
    assert torch.allclose(capacity, 8.3145 * (3.5 + einstein), rtol=0.02)


@needs_data
def test_no_substance_is_in_two_splits():
    parts = [set(part.names) for part in Substances()._parts.values()]
    assert sum(map(len, parts)) == len(set.union(*parts))


@needs_data
def test_no_curve_is_in_the_table_twice():
    # Many atoms and ions only move: (5/2)·R at every temperature.
    curves = _curves(Substances()._file())
    count = len(curves.names)
    drawn = curves.draw(count, shots=28, queries=1, generator=torch.Generator().manual_seed(0), in_turn=True)
    x, y = (torch.cat([a, b], 1)[..., 0] for a, b in zip(drawn.support, drawn.query, strict=True))
    in_order = y.gather(1, x.argsort(1))
    assert len(torch.unique(in_order, dim=0)) == count


@needs_data
def test_own_points_are_kelvin_and_joules_both_ways(tmp_path):
    task = Substances()
    (tmp_path / "own.csv").write_text("x,y\n775,100\n300,29.1\n")
    points = task.read(tmp_path / "own.csv")
    assert points.x[0, 0] == pytest.approx(0)
    assert points.y[0, 0] == pytest.approx(1)
    back = task.in_units(points)
    np.testing.assert_allclose(np.hstack([back.x, back.y]), [[775, 100], [300, 29.1]], rtol=1e-6)


@needs_data
@pytest.mark.parametrize("kelvin", [0, -20])
def test_a_temperature_that_there_is_not_is_refused_by_file(tmp_path, kelvin):
    (tmp_path / "own.csv").write_text(f"x,y\n300,29.1\n{kelvin},20\n")
    with pytest.raises(UsageError, match=rf"own.csv: x must be temperatures in kelvin, above 0, not {kelvin}$"):
        Substances().read(tmp_path / "own.csv")


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDataError, match=r"'substances': the data come with chemicals.*'mamlzoo\[substances\]'"):
        _ = Substances(split_seed=1).spec


def test_more_temperatures_than_there_are_are_refused():
    with pytest.raises(UsageError, match=r"at most the 29 temperatures that there are, not 10 \+ 20"):
        Substances(shots=10)
