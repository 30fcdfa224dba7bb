"""Tides: that heights are what harmonic constants say, and that no harbour is in two splits."""

from __future__ import annotations

import csv
import io
import math
import zipfile

import pytest
import torch

from mamlzoo import Range
from mamlzoo.errors import UsageError
from mamlzoo_tasks import tide_stations
from mamlzoo_tasks.tides import Tides


def sample(task, count=20, split="train", seed=0):
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(seed))


def rows(name):
    with zipfile.ZipFile(tide_stations.FILE) as archive:
        return list(csv.DictReader(io.TextIOWrapper(archive.open(f"{name}.csv"), "utf-8")))


def test_a_height_is_the_sum_of_the_stations_waves():
    speed = {row["constituent"]: float(row["speed_deg_per_hour"]) for row in rows("constituents")}
    place, hour = rows("stations")[700], 12_345.6
    expected = sum(
        float(row["amplitude_m"]) * math.cos(math.radians(speed[row["constituent"]] * hour - float(row["phase_deg"])))
        for row in rows("harmonics")
        if row["station_id"] == place["station_id"]
    )
    station, start, hours = (
        torch.tensor([3, 700]),
        torch.tensor([0, 12_000]).double(),
        torch.tensor([[0], [345]]).double(),
    )
    found = tide_stations.heights(station, start, hours + 0.6)
    assert float(found[1, 0]) == pytest.approx(expected, abs=1e-9)


def test_there_are_1079_stations_of_which_no_two_are_alike():
    _, _, amplitude, phase = tide_stations.stations()
    assert len(torch.cat([amplitude, phase], 1).unique(dim=0)) == len(amplitude) == 1079


def test_what_is_drawn_does_not_depend_on_how_many_curves_are_summed_at_once(monkeypatch):
    whole = sample(Tides()).query.y
    monkeypatch.setattr(tide_stations, "AT_ONCE", 3)
    assert torch.equal(sample(Tides()).query.y, whole)


def test_inputs_fill_the_window_in_units_of_three_hours():
    support = sample(Tides(days=2.0), 500).support
    assert float(support.x.min()) == pytest.approx(-8, abs=0.05)
    assert float(support.x.max()) == pytest.approx(8, abs=0.05)


def test_a_test_is_on_even_times_of_the_readings_own_curve():
    # The main tides repeat after a day and 50 minutes; between neighbours of 1,000 points heights hardly change.
    support, query = sample(Tides(test_points=1000), split="test")
    nearest = ((support.x[:, :, 0] + 4) / 8 * 999).round().long()
    torch.testing.assert_close(query.y[:, :, 0].gather(1, nearest), support.y[:, :, 0], atol=0.05, rtol=0)


def test_figures_see_the_same_readings_at_other_points():
    plain, fine = (sample(task, split="test") for task in (Tides(), Tides().on_grid(7)))
    assert torch.equal(plain.support.y, fine.support.y)
    torch.testing.assert_close(fine.query.x[3, :, 0], torch.linspace(-4, 4, 7))


def test_noise_is_on_the_readings_alone():
    plain, noisy = (sample(task, 216, "test") for task in (Tides(), Tides(noise=0.1)))
    assert torch.equal(plain.query.y, noisy.query.y)
    assert float((noisy.support.y - plain.support.y).std()) == pytest.approx(0.1, rel=0.05)


def test_each_harbour_is_in_one_split_and_once_in_a_test():
    task = Tides()
    parts = task._harbours
    assert sorted(parts["train"] + parts["valid"] + parts["test"]) == list(range(1079))
    assert (task.spec.valid_episodes, task.spec.test_episodes) == (216, 216)
    assert parts["test"] != Tides(split_seed=1)._harbours["test"]


def test_readings_may_be_of_any_number():
    support = sample(Tides(shots=Range(1, 8))).support
    assert support.x.shape == (20, 8, 1)
    assert support.mask.any(1).all()


def test_a_division_that_leaves_no_harbour_to_train_on_is_refused():
    with pytest.raises(UsageError, match="task 'tides': 540 harbours to validate on and 539 to test on leave none"):
        Tides(valid=0.5, test=0.5)
