"""How the processor computes while meta-steps are made."""

from __future__ import annotations

import os

import pytest
import torch

from mamlzoo.engine import cpu
from mamlzoo.engine.cpu import available_threads, computing, is_busy


def test_denormal_numbers_count_as_zero_meanwhile_and_as_themselves_after():
    tiny = torch.tensor(1e-40)
    with computing(1):
        assert tiny * 1 == 0
        with computing(1):
            pass
        assert tiny * 1 == 0
    assert tiny * 1 > 0


def test_so_many_threads_compute_meanwhile_whatever_happens():
    with pytest.raises(ZeroDivisionError), computing(2):
        assert torch.get_num_threads() == 2
        raise ZeroDivisionError
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("said", "cores"), [("max 100000", 8), ("150000 100000", 2), ("1000 100000", 1), ("9999999 1", 8)]
)
def test_a_container_has_the_cores_that_it_may_use(said, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(cpu, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert available_threads() == 8
    (tmp_path / "cpu.max").write_text(said + "\n")
    assert available_threads() == cores


@pytest.mark.parametrize(("load", "busy"), [(0.5, False), (2.0, False), (4.2, True)])
def test_a_machine_is_busy_where_more_want_to_compute_than_there_are_cores(load, busy, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    assert is_busy() == busy
