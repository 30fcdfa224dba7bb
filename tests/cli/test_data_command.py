"""`mamlzoo data`: which data sets tasks are made of, and adding them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMLZOO_DATA", str(tmp_path / "data"))


def test_the_list_names_each_data_set_with_its_licence_and_that_it_is_not_there_yet(cli):
    found = cli("data", "list")
    assert "omniglot" in found.stdout
    assert "MIT, Brenden Lake 2015" in found.stdout
    assert "not added yet" in found.stdout


def test_as_json_it_says_where_the_archives_are_published(cli):
    (omniglot,) = cli.json("data", "list")["datasets"]
    assert omniglot["folder"] is None
    assert [archive["name"] for archive in omniglot["archives"]] == ["images_background.zip", "images_evaluation.zip"]
    assert all(archive["url"].startswith("https://") for archive in omniglot["archives"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data", "add", "omniglto", "."), "no installed task is made of a data set called 'omniglto'; did you mean 'omniglot'?"),
        (("data", "add", "omniglot", "nowhere"), "nowhere is not there; give the folder that has images_background.zip and images_evaluation.zip"),
        (("data", "add", "omniglot", "."), ". has no images_background.zip and no images_evaluation.zip, of which the data set 'omniglot' is made"),
        (("run", "-t", "omniglot"), "the data set 'omniglot' is not there: `mamlzoo data add omniglot FOLDER` takes"),
    ],
    ids=["an unknown name", "no folder", "an empty folder", "a task without its data"],
)  # fmt: skip
def test_a_mistake_is_one_line_that_says_what_would_be_right(cli, arguments, message):
    assert cli.error(*arguments).startswith(message)
