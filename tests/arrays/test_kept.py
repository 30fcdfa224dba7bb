"""Rows that took long to make are made once, and are what was made."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import mamlzoo

ROWS = torch.arange(24, dtype=torch.uint8).reshape(4, 2, 3)


class Maker:
    """Gives the rows, and counts how often."""

    def __init__(self, rows: Tensor = ROWS):
        self.rows, self.times = rows, 0

    def __call__(self):
        self.times += 1
        return iter(self.rows)


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MAMLZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_rows_are_made_once_for_a_key(make):
    for _ in range(2):
        assert torch.equal(mamlzoo.kept("a", (4, 2, 3), make), ROWS)
    assert make.times == 1


def test_another_key_has_rows_of_its_own(make):
    mamlzoo.kept("a", (4, 2, 3), make)
    assert torch.equal(mamlzoo.kept("b", (4, 2, 3), Maker(ROWS + 1)), ROWS + 1)


def test_a_file_that_was_cut_is_made_anew(make, cache):
    mamlzoo.kept("a", (4, 2, 3), make)
    (file,) = (cache / "data").iterdir()
    file.write_bytes(file.read_bytes()[:5])
    assert torch.equal(mamlzoo.kept("a", (4, 2, 3), make), ROWS)
    assert make.times == 2


def test_what_fails_on_the_way_leaves_nothing(cache):
    def failing():
        yield ROWS[0]
        raise mamlzoo.UsageError("torn")

    with pytest.raises(mamlzoo.UsageError, match="torn"):
        mamlzoo.kept("a", (4, 2, 3), failing)
    assert list((cache / "data").iterdir()) == []


def test_without_a_folder_to_write_to_they_are_held_in_memory(make, cache):
    cache.write_text("no folder")
    assert torch.equal(mamlzoo.kept("a", (4, 2, 3), make), ROWS)
    assert list(cache.parent.iterdir()) == [cache]
