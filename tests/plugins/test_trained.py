"""The trained θ that come with mamlzoo: each tests again as it says, and is made by the command that stands in the docs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mamlzoo
from mamlzoo.discovery.entry_points import installed
from mamlzoo.discovery.registry import OWN
from mamlzoo.runs import execution, trained
from mamlzoo.runs.commands import command_of
from mamlzoo.runs.config import experiment_from

NAMES = sorted(name for name, offered in installed().trained.items() if offered.origin.distribution == OWN)

FEW = {"maml-sine", "alpaca-tides", "protonet-letters"}
"""What the ordinary suite tests again; the others are slow."""


def test_there_are_sine_waves_tides_and_letters():
    assert {name.partition("-")[2] for name in NAMES} == {"sine", "tides", "letters"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in FEW else pytest.mark.slow) for name in NAMES])
def test_what_an_entry_says_of_itself_is_what_its_theta_comes_to(name):
    said = mamlzoo.load(f"zoo:{name}")
    made = experiment_from(said.config)
    if said.config["task"].get("data") != made.task.data_digest():
        pytest.skip("its test tasks are made of other data here, as letters are by another matplotlib")
    settings = replace(made.settings, iterations=0, init_from=f"zoo:{name}", plan="vmap")
    found = execution.run(replace(made, settings=settings)).evaluation
    assert list(found.values) == list(said.evaluation.values)
    np.testing.assert_allclose(found.mean, said.evaluation.mean, rtol=1e-3)
    np.testing.assert_allclose(found.ci95, said.evaluation.ci95, rtol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_made_by_the_command_that_the_page_shows(name, repository):
    page = (repository / "docs" / "trained.md").read_text(encoding="utf-8")
    command = command_of(mamlzoo.load(f"zoo:{name}").config)
    assert f"{command} --out runs/{name}\nmamlzoo pack runs/{name}\n" in page


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_small_and_says_nothing_of_where_it_was_made(name):
    packed = trained.packed_of(f"zoo:{name}")
    assert packed.size <= 1_000_000
    assert packed.result.config["git"] is None
    assert packed.result.config["settings"]["init_from"] is None
