"""Curves along an axis of people's own: years, hours and kelvin in, and out again."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

from mamlzoo.errors import UsageError
from mamlzoo_tasks.countries import Countries
from mamlzoo_tasks.substances import Substances
from mamlzoo_tasks.tides import Tides


def needs(package):
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"the data come with {package}")


OF_TASKS = [
    pytest.param(Countries(), [1960, 1985, 2011], [-2.55, -0.05, 2.55], id="years", marks=needs("statsmodels")),
    pytest.param(Tides(days=2), [0, 24, 45], [-8, 0, 7], id="hours"),
    pytest.param(
        Substances(),
        [300, math.sqrt(300 * 6000), 6000],
        [-math.log(20) / 2, 0, math.log(20) / 2],
        id="kelvin",
        marks=needs("chemicals"),
    ),
]


@pytest.mark.parametrize(("task", "measured", "inputs"), OF_TASKS)
def test_own_inputs_are_in_people_s_unit_both_ways(tmp_path, task, measured, inputs):
    file = tmp_path / "own.csv"
    file.write_text("x,y\n" + "".join(f"{at},1.5\n" for at in measured))
    points = task.read(file)
    np.testing.assert_allclose(points.x[:, 0], inputs, rtol=1e-6, atol=1e-6)
    back = task.in_units(points)
    np.testing.assert_allclose(back.x[:, 0], measured, rtol=1e-6, atol=1e-5)
    assert np.array_equal(back.y, points.y)


@needs("chemicals")
@pytest.mark.parametrize("kelvin", [0, -20])
def test_an_input_that_cannot_be_is_refused_by_file(tmp_path, kelvin):
    (tmp_path / "own.csv").write_text(f"x,y\n300,3.5\n{kelvin},3.4\n")
    with pytest.raises(UsageError, match=rf"own.csv: x must be temperatures in kelvin, above 0, not {kelvin}$"):
        Substances().read(tmp_path / "own.csv")
